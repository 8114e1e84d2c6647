/** One event of a `text/event-stream`. */
export interface ServerEvent {
  event: string;
  data: string;
}

function parse(block: string): ServerEvent | null {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') {
      event = value;
    } else if (field === 'data') {
      data.push(value);
    }
  }
  return data.length ? { event, data: data.join('\n') } : null;
}

/** The service says every 15 s that it is there: a stream that is silent for longer is a dead one. */
const SILENCE = 40_000;

function within<T>(promise: Promise<T>, limit: number): Promise<T> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Error('silence')), limit);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Read events until the server closes the stream.
 *
 * EventSource cannot send a token, so the body of a fetch is read instead. Lines may end in CR LF.
 */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let pending: string[] = [];
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), SILENCE);
      if (done) {
        return;
      }
      const text = decoder.decode(value, { stream: true }).replaceAll('\r', '');
      pending.push(text);
      // A large output arrives in many pieces: they are joined once, when its end is there.
      if (!text.includes('\n')) {
        continue;
      }
      const blocks = pending.join('').split('\n\n');
      pending = [blocks.pop() ?? ''];
      for (const block of blocks) {
        const event = parse(block);
        if (event) {
          yield event;
        }
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
