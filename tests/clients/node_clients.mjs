// The clients in Node: node_clients.mjs HEARD PLAN, where HEARD is the path of heard.mjs.

import { DefaultChatTransport, readUIMessageStream } from 'ai'
import { HttpAgent } from '@ag-ui/client'
import Anthropic from '@anthropic-ai/sdk'
import { EventSource } from 'eventsource'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import OpenAI from 'openai'

const { byHand, headers, hear, lines, listenTo } = await import(process.argv[2])

const parser = (url, heard) =>
  byHand(async (last, seen) => {
    const response = await fetch(url, { headers: headers(last) })
    const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
    for await (const event of events) {
      seen(event.id)
      heard.event(event.event ?? 'message', event.data)
    }
  }, heard)

async function openai(baseURL, heard) {
  const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 })
  const messages = [{ role: 'user', content: 'Hello' }]
  for await (const chunk of await client.chat.completions.create({ model: 'none', messages, stream: true })) {
    const text = chunk.choices[0].delta.content
    if (text) heard.text(text)
  }
}

async function anthropic(baseURL, heard) {
  const client = new Anthropic({ baseURL, apiKey: 'none', maxRetries: 0 })
  const messages = [{ role: 'user', content: 'Hello' }]
  const stream = client.messages.stream({ model: 'none', max_tokens: 9, messages })
  stream.on('text', (text) => heard.text(text))
  await stream.finalMessage()
}

async function ai(api, heard) {
  const question = { id: '1', role: 'user', parts: [{ type: 'text', text: 'Hello' }] }
  const transport = new DefaultChatTransport({ api })
  const stream = await transport.sendMessages({ chatId: '1', trigger: 'submit-message', messages: [question] })
  let shown = ''
  for await (const message of readUIMessageStream({ stream, terminateOnError: true })) {
    const text = message.parts.map((part) => part.text ?? '').join('')
    if (text.length > shown.length) heard.text(text.slice(shown.length))
    shown = text
  }
}

async function agui(url, heard) {
  const agent = new HttpAgent({ url, threadId: 't' })
  await agent.runAgent({ runId: 'r' }, {
    onTextMessageContentEvent: ({ event }) => heard.text(event.delta),
    onRunErrorEvent: ({ event }) => heard.failed('`RUN_ERROR`', event.message),
  })
}

const listeners = {
  'eventsource (npm)': (url, heard) => listenTo(new EventSource(url), heard),
  'eventsource-parser, Node': parser,
  'fetch, NDJSON, Node': lines,
  'openai, npm': openai,
  '@anthropic-ai/sdk': anthropic,
  'ai': ai,
  '@ag-ui/client, `HttpAgent`': agui,
}

// AG-UI's client rejects its run when it is cut off, and leaves another promise behind that nobody can handle.
process.on('unhandledRejection', (error) => console.error(error))

// What a client says to the console is no outcome.
const { log } = console
console.log = console.error
const found = await Promise.all(JSON.parse(process.argv[3]).map((order) => hear(listeners, order)))
log(JSON.stringify(found))
process.exit(0)
