// What the AI SDK makes of our streams. Reads a JSON file of tasks, prints a JSON array of what became of each.
import { readFileSync } from "node:fs";
import { Chat } from "@ai-sdk/react";
import {
  DefaultChatTransport,
  parseJsonEventStream,
  readUIMessageStream,
  TextStreamChatTransport,
  uiMessageChunkSchema,
} from "ai";

const task = JSON.parse(readFileSync(process.argv[2], "utf8"));
const schema = uiMessageChunkSchema();
const bytes = new TextEncoder();

function body(pieces, error) {
  return new ReadableStream({
    async start(controller) {
      for (const piece of pieces) controller.enqueue(bytes.encode(piece));
      if (error === "late") for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      if (error) controller.error(new TypeError("network error"));
      else controller.close();
    },
  });
}

const textOf = (message) => (message?.parts ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");

const work = {
  // Which types there are, and which fields each needs: what the union of the schema says to a part of no type.
  async types() {
    const { error } = await schema.validate({ type: "data-" });
    return error.issues[0].errors.map((issues) => ({
      type: issues.find((issue) => issue.path[0] === "type")?.values[0] ?? "data-",
      fields: issues.filter((issue) => issue.path[0] !== "type").map((issue) => issue.path[0]),
    }));
  },

  // Whether each part is accepted.
  parts: () => Promise.all(task.parts.map(async (part) => (await schema.validate(part)).success)),

  // The message that each stream becomes, and the error that it ends with.
  messages: () =>
    Promise.all(
      task.bodies.map(async (text) => {
        const errors = [];
        const stream = parseJsonEventStream({ stream: body([text]), schema: uiMessageChunkSchema }).pipeThrough(
          new TransformStream({
            transform: (part, controller) => (part.success ? controller.enqueue(part.value) : controller.error(part.error)),
          }),
        );
        let message = null;
        const onError = (error) => errors.push(error.message);
        for await (const state of readUIMessageStream({ stream, onError })) message = state;
        return { text: textOf(message), parts: message?.parts.map((part) => part.type) ?? [], id: message?.id, errors };
      }),
    ),

  // The text that each text stream becomes.
  texts: () =>
    Promise.all(
      task.bodies.map(async (text) => {
        const transport = new TextStreamChatTransport({ fetch: async () => new Response(body([text])) });
        const chat = new Chat({ transport });
        await chat.sendMessage({ text: "?" });
        return textOf(chat.lastMessage);
      }),
    ),

  // A chat that is cut after each event in turn, and resumes on the same page.
  cuts: () =>
    Promise.all(
      task.events.flatMap((_, cut) =>
        ["at once", "late"].map(async (when) => {
          let asked = [];
          const cursor = () =>
            chat.lastMessage?.parts.findLast((part) => part.providerMetadata?.streamkit)?.providerMetadata.streamkit.cursor;
          const transport = new DefaultChatTransport({
            resumeStreamIsReplay: !task.continues,
            prepareReconnectToStreamRequest: ({ api, id }) => ({
              api: `${api}/${id}/stream` + (task.continues && cursor() ? `?after=${cursor()}` : ""),
            }),
            fetch: async (url, { method }) => {
              asked.push(url);
              if (method === "POST") return new Response(body(task.events.slice(0, cut), when));
              const after = new URL(url, "http://localhost").searchParams.get("after");
              return new Response(body(after ? task.rests[after] : task.events));
            },
          });
          const chat = new Chat({ transport, id: "c" });
          await chat.sendMessage({ text: "?" });
          const cutAt = textOf(chat.messages[1]).length;
          const status = chat.status;
          await chat.resumeStream();
          return { text: textOf(chat.messages[1]), count: chat.messages.length, status, end: chat.status, cutAt, asked };
        }),
      ),
    ),
};

console.log(JSON.stringify(await work[task.name]()));
