// Prints what the live view makes of event logs, and of the notebooks beside them: for tests/unit/test_panels_models.py.
import './page';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RunEvent } from '../src/api/events';
import { Replay } from '../src/model/replay';

/** Feed a log's whole lines, passing over what makes no sense, as the page's stream does. */
function live(path: string): Replay {
  const replay = new Replay();
  for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
    try {
      replay.apply(JSON.parse(line) as RunEvent);
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof TypeError)) {
        throw error;
      }
    }
  }
  return replay;
}

function saved(path: string): Replay | null {
  if (!existsSync(path)) {
    return null;
  }
  const replay = new Replay();
  replay.load(JSON.parse(readFileSync(path, 'utf8')) as Parameters<Replay['load']>[0]);
  return replay;
}

function shown(replay: Replay | null): object | null {
  return replay && { ready: replay.ready, language: replay.language, cells: replay.cells };
}

const answer = process.argv.slice(2).map(path => ({
  live: shown(live(path)),
  saved: shown(saved(join(dirname(path), 'output.ipynb')))
}));
process.stdout.write(JSON.stringify(answer));
