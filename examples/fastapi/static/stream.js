// Read server-sent events from a fetch response: for POST, bodies and headers, which EventSource cannot send.
//
//   for await (const { event, data, id } of readEvents(await fetch(url, { method: "POST", body }))) { … }
//
// A connection that breaks throws; leaving the loop closes it. A clean end proves nothing: let the server send an
// event `done` last, and take an answer without it for incomplete. The rules are those of WHATWG HTML, 9.2.6.
export async function* readEvents(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (!response.ok || !type.startsWith("text/event-stream")) {
    throw new Error(`no event stream: status ${response.status}, ${type || "no Content-Type"}`);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let [rest, event, data, id, afterCR] = ["", "", [], "", false];
  try {
    while (true) {
      let { done, value } = await reader.read();
      if (done) return; // what follows the last blank line is half an event
      if (afterCR && value.startsWith("\n")) value = value.slice(1); // the other half of a CRLF
      afterCR = value.endsWith("\r");
      const lines = (rest + value).split(/\r\n|\n|\r/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length) yield { event: event || "message", data: data.join("\n"), id };
          [event, data] = ["", []];
          continue;
        }
        const [, field, text = ""] = line.match(/^([^:]*)(?:: ?(.*))?$/s);
        if (field === "event") event = text;
        else if (field === "data") data.push(text);
        else if (field === "id" && !text.includes("\0")) id = text;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
