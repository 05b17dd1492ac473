// A chat by the AI SDK's useChat: it goes on after a reload, and after its connection was lost.

import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

// The chat's id stands in the page's address. It is made here: a request that was sent twice is about one chat.
const address = new URL(location.href);
const id = address.searchParams.get("chat") ?? crypto.randomUUID();
address.searchParams.set("chat", id);
history.replaceState(null, "", address);

const IDEAS = ["What happens when a connection drops?", "Why does nothing show up until the end?"];

// A body that just ends, as of a server that was killed behind some proxies, is a whole answer to the SDK. Here it is a
// lost connection, unless the server has said how the answer ended.
class Transport extends DefaultChatTransport {
  processResponseStream(body) {
    let isOver = false;
    const parts = new TransformStream({
      transform(part, controller) {
        isOver ||= ["finish", "abort", "error"].includes(part.type);
        controller.enqueue(part);
      },
      flush(controller) {
        if (!isOver) controller.error(new TypeError("network error: the answer has ended in the middle"));
      },
    });
    return super.processResponseStream(body).pipeThrough(parts);
  }
}
const transport = new Transport();

function Assistant() {
  const { messages, status, error, sendMessage, regenerate, resumeStream } = useChat({
    id,
    transport,
    messages: JSON.parse(localStorage.getItem(id) ?? "[]"), // yours come from a database
    resume: true, // asks once, when the page is opened, for an answer that is still being written
  });
  const [note, setNote] = useState("");
  const input = useRef(null);
  const busy = status === "submitted" || status === "streaming";
  // What fetch() throws for a connection, or a proxy answers while a server is started anew; all else is an answer.
  const isLost = error instanceof TypeError || [502, 503, 504].includes(error?.statusCode);

  // A half answer is not stored: after a reload the server sends it from its start.
  useEffect(() => {
    const isWhole = messages.length > 0 && (status === "submitted" || status === "ready");
    if (isWhole) localStorage.setItem(id, JSON.stringify(messages));
  }, [messages, status]);

  // useChat itself comes back only when its tab was hidden. Each failed attempt is a new error, and leads to the next.
  useEffect(() => {
    if (!isLost) return;
    const timer = setTimeout(resumeStream, 1000);
    return () => clearTimeout(timer);
  }, [error]);

  useEffect(() => {
    if (!busy) input.current.focus();
  }, [busy]);

  useEffect(() => {
    const page = document.documentElement;
    if (page.scrollHeight - window.scrollY - window.innerHeight < 80) window.scrollTo(0, page.scrollHeight);
  }, [messages]);

  function send(text) {
    setNote("");
    sendMessage({ text });
  }

  function submit(submitted) {
    submitted.preventDefault();
    const text = input.current.value.trim();
    if (!text || busy || isLost) return;
    submitted.target.reset();
    send(text);
  }

  // Not useChat's stop(), which closes the connection alone: the server is to stop writing, and says so to all readers.
  function stop() {
    fetch(`/api/chat/${id}/stream`, { method: "DELETE" }).catch(() => setNote("The server does not answer."));
  }

  const last = messages.at(-1);
  // The server leaves the text of an answer open that was stopped, and so the SDK has it as still streaming.
  const isCut = last?.role === "assistant" && last.parts.some((part) => part.state === "streaming");
  const isUnanswered = last?.role === "user";
  const idle = !busy && !isLost && messages.length > 0;

  return (
    <>
      <main>
        {messages.length === 0 && (
          <section>
            <h2>A chat with useChat</h2>
            <p className="soft">
              Reload in the middle of an answer, open its address elsewhere, or cut the connection: it goes on.
            </p>
            <div className="ideas">
              {IDEAS.map((idea) => (
                <button type="button" key={idea} onClick={() => send(idea)}>
                  {idea}
                </button>
              ))}
            </div>
          </section>
        )}
        {messages.map((message) => (
          <div
            key={message.id}
            className={message.role === "user" ? "question" : "answer"}
            aria-live={message.role === "user" ? undefined : "polite"}
            aria-busy={message === last && message.role === "assistant" && (busy || isLost) ? true : undefined}
          >
            {message.parts.map((part, index) => part.type === "text" && <span key={index}>{part.text}</span>)}
          </div>
        ))}
      </main>
      <form className="composer" onSubmit={submit}>
        <p className="status" role="status">
          {isLost ? "Connection lost. Going on in a moment…" : error?.message || (idle && isCut && "Stopped.") || note}
        </p>
        <div className="row">
          <input
            ref={input}
            name="q"
            aria-label="Your question"
            placeholder="Your question"
            autoComplete="off"
            autoFocus
            required
            maxLength={500}
          />
          {idle && (error || isUnanswered) && (
            <button type="button" onClick={() => regenerate()}>
              Ask again
            </button>
          )}
          {busy || isLost ? (
            <button type="button" id="stop" onClick={stop}>
              Stop
            </button>
          ) : (
            <button className="main">Ask</button>
          )}
        </div>
      </form>
    </>
  );
}

createRoot(document.querySelector("#assistant")).render(<Assistant />);
