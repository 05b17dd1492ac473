// The clients in a browser: `hearAll(order)` as heard.mjs has it.

import '@hotwired/turbo'
import { fetchEventSource } from '@microsoft/fetch-event-source'
import { useChat } from '@ai-sdk/react'
import { DefaultChatTransport } from 'ai'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import htmx from 'htmx.org'
import 'htmx-ext-sse'
import { useEffect } from 'react'
import { createRoot } from 'react-dom/client'
import { byHand, headers, hear, lines, listenTo, until } from './heard.mjs'

const reader = (url, heard) =>
  byHand(async (last, seen) => {
    const response = await fetch(url, { headers: headers(last) })
    const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
    for await (const event of events) {
      seen(event.id)
      heard.event(event.event ?? 'message', event.data)
    }
  }, heard)

async function fetchSource(url, heard) {
  const done = new AbortController()
  await fetchEventSource(url, {
    openWhenHidden: true,
    signal: done.signal,
    onmessage: (event) => void (heard.event(event.event || 'message', event.data) && done.abort()),
    onerror: () => heard.ended('comes back'),
  })
}

// Notes the tokens that an element shows until the stream is over, and then takes it away.
async function watch(element, source, heard, over) {
  let shown = 0, lost = false
  source.addEventListener('error', () => (lost = true))
  source.addEventListener('open', () => lost && heard.ended('comes back'))
  await until(() => {
    const texts = [...element.querySelectorAll('i')].slice(shown)
    shown += texts.length
    for (const { textContent } of texts) heard.text(textContent)
    if (lost && heard.close) {
      heard.ended(source.readyState === 2 ? 'gives up' : 'comes back') // it would wait for seconds first
      return true
    }
    const failed = element.querySelector('b')
    if (failed) heard.failed('shown', failed.textContent)
    return over() || failed
  })
  source.close()
  element.remove()
}

async function htmxSource(url, heard) {
  const element = document.createElement('div')
  for (const [name, value] of Object.entries({
    'hx-ext': 'sse', 'sse-connect': url, 'sse-swap': 'token', 'sse-close': 'done', 'hx-swap': 'beforeend',
  })) element.setAttribute(name, value)
  let over = false
  element.addEventListener('htmx:sseClose', () => (over = true))
  const opened = new Promise((done) => element.addEventListener('htmx:sseOpen', done, { once: true }))
  document.body.append(element)
  htmx.process(element)
  await watch(element, (await opened).detail.source, heard, () => over)
}

async function turbo(url, heard) {
  const element = document.createElement('div')
  element.innerHTML = `<div id="answer"></div><turbo-stream-source id="source" src="${url}"></turbo-stream-source>`
  document.body.append(element)
  const tag = element.lastChild
  const source = tag.streamSource
  await watch(element, source, heard, () => !tag.isConnected)
}

function Chat({ api, heard, done }) {
  const { messages, status, error, sendMessage } = useChat({ transport: new DefaultChatTransport({ api }) })
  useEffect(() => void sendMessage({ text: 'Hello' }), [])
  const text = messages.at(-1)?.role === 'assistant' ? messages.at(-1).parts.map((part) => part.text ?? '').join('') : ''
  useEffect(() => {
    const shown = heard.texts.join('').length
    if (text.length > shown) heard.text(text.slice(shown))
    if (error) heard.ended(`shows an error${heard.withText(error.message)}`)
    if (status === 'error' || (status === 'ready' && messages.length > 1)) done()
  }, [text, status, error])
}

async function chat(api, heard) {
  const root = createRoot(document.body.appendChild(document.createElement('div')))
  await new Promise((done) => root.render(<Chat api={api} heard={heard} done={done} />))
  root.unmount()
}

const listeners = {
  'EventSource': (url, heard) => listenTo(new EventSource(url), heard),
  'fetch, eventsource-parser': reader,
  'fetch, NDJSON': lines,
  '@microsoft/fetch-event-source': fetchSource,
  'htmx, htmx-ext-sse': htmxSource,
  'Turbo, `<turbo-stream-source>`': turbo,
  '@ai-sdk/react, `useChat`': chat,
}

window.hearAll = (order) => hear(listeners, order).then((outcomes) => (window.outcomes = outcomes))
