/** One line of two texts side by side; null: that side has none. */
export interface LinePair {
  before: string | null;
  after: string | null;
  same: boolean;
}

const MOST = 2000;

/** Set two texts side by side so that as many lines as possible stand beside their like. */
export function sideBySide(before: string, after: string): LinePair[] {
  const [one, other] = [before.split('\n').slice(0, MOST), after.split('\n').slice(0, MOST)];
  // How many lines the rests from here on have in common, at most.
  const width = other.length + 1;
  const common = new Uint16Array((one.length + 1) * width);
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      const at = i * width + j;
      common[at] =
        one[i] === other[j]
          ? (common[at + width + 1] ?? 0) + 1
          : Math.max(common[at + width] ?? 0, common[at + 1] ?? 0);
    }
  }
  const pairs: LinePair[] = [];
  let [i, j] = [0, 0];
  let gone: string[] = [];
  let come: string[] = [];
  const flush = (): void => {
    for (let at = 0; at < Math.max(gone.length, come.length); at++) {
      pairs.push({ before: gone[at] ?? null, after: come[at] ?? null, same: false });
    }
    gone = [];
    come = [];
  };
  while (i < one.length || j < other.length) {
    const [left, right] = [one[i], other[j]];
    if (left !== undefined && left === right) {
      flush();
      pairs.push({ before: left, after: right, same: true });
      i++;
      j++;
    } else if (
      right === undefined ||
      (left !== undefined && (common[(i + 1) * width + j] ?? 0) >= (common[i * width + j + 1] ?? 0))
    ) {
      gone.push(left ?? '');
      i++;
    } else {
      come.push(right);
      j++;
    }
  }
  flush();
  return pairs;
}
