// What a client has heard of one stream, as in heard.py; the same for Node and for a page.

const WITHIN = 20_000

export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds))

export async function until(condition) {
  while (!condition()) await sleep(10)
}

class Heard {
  texts = []
  others = []
  end = ''

  // `close` is where the stream is ended from the side of the server, once all of `begun` has been heard.
  constructor(close, { begun, failure }) {
    this.close = close
    this.begun = begun
    this.failure = failure
  }

  text(text) {
    this.texts.push(text)
    if (this.close && this.texts.join('') === this.begun) fetch(this.close)
  }

  // Returns whether the event is the last one.
  event(kind, data) {
    if (kind === 'message' && data) this.text(JSON.parse(data).text)
    else if (kind === 'bare') this.text(data)
    else if (kind === 'failed') this.failed('`failed`', JSON.parse(data).message)
    else this.others.push(`${kind} ${data}`)
    return kind === 'done' || kind === 'failed'
  }

  row(row) {
    if (row.error) this.failed('a last row', row.error)
    else this.text(row.text)
  }

  failed(how, message) {
    this.others.push(how + this.withText(message))
  }

  withText(message) {
    return message.includes(this.failure) ? ' with the text' : ''
  }

  // The first end counts, since a client may have come back after it.
  ended(end) {
    this.end ||= end
  }

  raised(error) {
    this.ended(`raises \`${error.constructor.name}\`${this.withText(error.message)}`)
  }
}

async function hearOne(listen, { url, close }, order) {
  const heard = new Heard(close, order)
  let timer
  const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error(`${url} takes too long`)), WITHIN)))
  try {
    await Promise.race([listen(url, heard), late])
  } catch (error) {
    heard.raised(error)
    heard.words = error.stack
  }
  clearTimeout(timer)
  heard.ended('ends')
  const { texts, others, end, words } = heard
  return { texts, others, end, words }
}

// `order.plan` is client -> trap -> {url, close}: each client listens to one stream after the other, and `order.at_once`
// clients do so at the same time.
export async function hear(listeners, order) {
  const outcomes = {}
  const waiting = Object.entries(order.plan)
  const work = async () => {
    for (let next; (next = waiting.shift()); ) {
      const [name, traps] = next
      outcomes[name] = {}
      for (const [trap, place] of Object.entries(traps))
        outcomes[name][trap] = await hearOne(listeners[name], place, order)
    }
  }
  await Promise.all(Array.from({ length: order.at_once }, work))
  return outcomes
}

// A reader that the caller has to call again, with the last id that it has given.
export async function byHand(read, heard) {
  for (let last = ''; ; await sleep(50)) {
    try {
      return await read(last, (id) => (last = id ?? last))
    } catch (error) {
      heard.ended(`raises \`${error.constructor.name}\`; by hand`)
    }
  }
}

export const headers = (last) => ({ Accept: 'text/event-stream', ...(last && { 'Last-Event-ID': last }) })

export async function lines(url, heard) {
  const response = await fetch(url)
  let rest = ''
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split('\n')
    rest = parts.pop()
    for (const part of parts) heard.row(JSON.parse(part))
  }
}

// An EventSource, whichever: it comes back by itself, unless the caller closes it.
export function listenTo(source, heard) {
  return new Promise((done) => {
    const over = () => done(source.close())
    for (const kind of ['message', 'bare', 'done', 'failed'])
      source.addEventListener(kind, (event) => {
        if (heard.event(kind, event.data)) over()
      })
    source.addEventListener('error', () => {
      heard.ended(source.readyState === 2 ? 'gives up' : 'comes back')
      if (heard.close) over() // it would wait for seconds first
    })
  })
}
