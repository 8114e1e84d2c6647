/** The first rows of a table. */
export interface Table {
  head: string[];
  rows: string[][];
}

const MOST = 200;
const MOST_COLUMNS = 100;

/** The character that stands most often between the fields of the first line, outside of quotes. */
function separator(text: string): string {
  const line = text.slice(0, text.search(/\r?\n|$/)).replace(/"[^"]*"/g, '');
  const counted = [',', '\t', ';', '|'].map(mark => [line.split(mark).length, mark] as const);
  return counted.reduce((best, next) => (next[0] > best[0] ? next : best))[1];
}

/** Read the first lines of a CSV or TSV file; of text that was `cut` off, without the line that is not whole. */
export function readCsv(text: string, cut: boolean): Table {
  const mark = separator(text);
  const lines: string[][] = [];
  let line: string[] = [];
  let field = '';
  let quoted = false;
  let at = 0;
  const endField = (): void => {
    line.push(field);
    field = '';
  };
  const endLine = (): void => {
    endField();
    lines.push(line);
    line = [];
  };
  for (; at < text.length && lines.length <= MOST; at++) {
    const letter = text[at] ?? '';
    if (quoted) {
      if (letter !== '"') {
        field += letter;
      } else if (text[at + 1] === '"') {
        field += letter;
        at++;
      } else {
        quoted = false;
      }
    } else if (letter === '"' && !field) {
      quoted = true;
    } else if (letter === mark) {
      endField();
    } else if (letter === '\n') {
      endLine();
    } else if (letter !== '\r') {
      field += letter;
    }
  }
  if (at >= text.length && !cut && (field || line.length)) {
    endLine();
  }
  const [head = [], ...rows] = lines.map(cells => cells.slice(0, MOST_COLUMNS));
  return { head, rows: rows.filter(cells => cells.length > 1 || cells[0]) };
}

/** Read the first lines of JSON lines: a column for each name. Lines that are no objects are one column. */
export function readJsonLines(text: string, cut: boolean): Table {
  const lines = text.split('\n');
  if (cut) {
    lines.pop();
  }
  const found = lines.filter(line => line.trim()).slice(0, MOST);
  const values = found.map(line => {
    try {
      return JSON.parse(line) as unknown;
    } catch {
      return line;
    }
  });
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!values.every(isObject)) {
    return { head: [''], rows: found.map(line => [line]) };
  }
  const head = [...new Set(values.flatMap(value => Object.keys(value)))].slice(0, MOST_COLUMNS);
  const shown = (value: unknown): string =>
    value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  return { head, rows: values.map(value => head.map(name => shown(value[name]))) };
}
