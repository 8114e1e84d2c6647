const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21]
] as const;
const SINES = Int32Array.from({ length: 64 }, (_, at) =>
  Math.floor(Math.abs(Math.sin(at + 1)) * 2 ** 32)
);
const BLOCK = 64;
/** Bytes that are read of a file at once: some milliseconds of work, so that the page stays alive. */
const SLICE = 1 << 20;

/** The MD5 of what it is given piece by piece: browsers have none of their own. */
export class Md5 {
  update(data: Uint8Array): void {
    this._length += data.length;
    let at = 0;
    if (this._held) {
      at = Math.min(BLOCK - this._held, data.length);
      this._rest.set(data.subarray(0, at), this._held);
      this._held += at;
      if (this._held < BLOCK) {
        return;
      }
      this._mix(this._rest, 0);
      this._held = 0;
    }
    for (; at + BLOCK <= data.length; at += BLOCK) {
      this._mix(data, at);
    }
    this._rest.set(data.subarray(at));
    this._held = data.length - at;
  }

  /** Close it, and return 32 hexadecimal digits. */
  hex(): string {
    const bits = this._length * 8;
    const gap = (this._held < 56 ? 56 : 120) - this._held;
    const end = new Uint8Array(gap + 8);
    end[0] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(gap, bits >>> 0, true);
    view.setUint32(gap + 4, Math.floor(bits / 2 ** 32), true);
    this.update(end);
    return [...new Uint8Array(this._state.buffer)]
      .map(byte => byte.toString(16).padStart(2, '0'))
      .join('');
  }

  private _mix(data: Uint8Array, from: number): void {
    const words = this._words;
    for (let word = 0, at = from; word < 16; word++, at += 4) {
      words[word] =
        (data[at] ?? 0) |
        ((data[at + 1] ?? 0) << 8) |
        ((data[at + 2] ?? 0) << 16) |
        ((data[at + 3] ?? 0) << 24);
    }
    let [a = 0, b = 0, c = 0, d = 0] = this._state;
    for (let step = 0; step < 64; step++) {
      const round = step >> 4;
      let mixed: number;
      let word: number;
      if (round === 0) {
        mixed = (b & c) | (~b & d);
        word = step;
      } else if (round === 1) {
        mixed = (d & b) | (~d & c);
        word = 5 * step + 1;
      } else if (round === 2) {
        mixed = b ^ c ^ d;
        word = 3 * step + 5;
      } else {
        mixed = c ^ (b | ~d);
        word = 7 * step;
      }
      const sum = (a + mixed + (SINES[step] ?? 0) + (words[word & 15] ?? 0)) | 0;
      const shift = SHIFTS[round as 0]?.[(step & 3) as 0] ?? 0;
      a = d;
      d = c;
      c = b;
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
    }
    const state = this._state;
    state[0] = (state[0] ?? 0) + a;
    state[1] = (state[1] ?? 0) + b;
    state[2] = (state[2] ?? 0) + c;
    state[3] = (state[3] ?? 0) + d;
  }

  private readonly _state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  private readonly _words = new Int32Array(16);
  private readonly _rest = new Uint8Array(BLOCK);
  private _held = 0;
  private _length = 0;
}

/** The MD5 of a file, read slice by slice; `read` is told how many bytes more have been. */
export async function md5Of(
  file: Blob,
  read: (bytes: number) => void,
  signal: AbortSignal
): Promise<string> {
  const sum = new Md5();
  for (let at = 0; at < file.size; at += SLICE) {
    signal.throwIfAborted();
    const data = new Uint8Array(await file.slice(at, at + SLICE).arrayBuffer());
    sum.update(data);
    read(data.length);
  }
  return sum.hex();
}
