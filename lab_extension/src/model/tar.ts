const BLOCK = 512;

/** One content of a tar. */
export interface Member {
  name: string;
  data: Blob;
}

function header(name: string, size: number): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK);
  const put = (text: string, at: number): void => block.set(new TextEncoder().encode(text), at);
  put(name, 0);
  put('0000644\0', 100);
  put('0000000\0', 108);
  put('0000000\0', 116);
  put(`${size.toString(8).padStart(11, '0')}\0`, 124);
  put('00000000000\0', 136);
  // The sum of the header counts its own place as spaces.
  put('        ', 148);
  put('0', 156);
  put('ustar\x0000', 257);
  const sum = block.reduce((one, other) => one + other, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** Make a tar of contents, of which none is read before it is sent. */
export function tar(members: readonly Member[]): Blob {
  const parts = members.flatMap(({ name, data }) => [
    header(name, data.size),
    data,
    new Uint8Array((BLOCK - (data.size % BLOCK)) % BLOCK)
  ]);
  return new Blob([...parts, new Uint8Array(2 * BLOCK)]);
}
