// Prints what the run form makes of texts: lines of [parameter, text] in, values or sentences out.
import { readFileSync } from 'node:fs';
import type { Parameter } from '../src/generated/api';
import { parseField, writeField } from '../src/model/values';
import { english } from './page';

const asked = JSON.parse(readFileSync(0, 'utf8')) as {
  texts: [Parameter, string][];
  values: [Parameter, unknown][];
};
process.stdout.write(
  JSON.stringify({
    texts: asked.texts.map(([parameter, text]) => parseField(parameter, text, english)),
    values: asked.values.map(([parameter, value]) =>
      parseField(parameter, writeField(parameter, value), english)
    )
  })
);
