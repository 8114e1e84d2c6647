// Lets Node.js read the panels' sources as they are: TypeScript, with imports that name no file ending.
import { existsSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ENDINGS = ['.ts', '.tsx', '/index.ts'];
const compilerOptions = {
  target: ts.ScriptTarget.ES2022,
  // JupyterLab's packages are CommonJS, whose exports an ES module in Node.js cannot name.
  module: ts.ModuleKind.CommonJS,
  esModuleInterop: true,
  jsx: ts.JsxEmit.ReactJSX,
  inlineSourceMap: true
};

registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('.') && context.parentURL?.startsWith('file:')) {
      const base = new URL(specifier, context.parentURL).href;
      const ending = ENDINGS.find(each => existsSync(fileURLToPath(base + each)));
      if (ending) {
        return { url: base + ending, format: 'commonjs', shortCircuit: true };
      }
    }
    return next(specifier, context);
  },
  load(url, context, next) {
    if (!/\.tsx?$/.test(url)) {
      return next(url, context);
    }
    const fileName = fileURLToPath(url);
    const { outputText } = ts.transpileModule(readFileSync(fileName, 'utf8'), {
      fileName,
      compilerOptions
    });
    return { format: 'commonjs', source: outputText, shortCircuit: true };
  }
});
