// Bundles the example app's page with one published SDK, as an app's developer does. The SDK itself is not touched.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));

/** The published versions under test. The first sends headers that begin with `X-Stack-`, the second `X-Hexclave-`. */
export const SDKS = [
  { version: '2.8.77', name: 'stack-js-2-8-77', family: 'stack' },
  { version: '2.8.108', name: 'stack-js-2-8-108', family: 'hexclave' },
];

/** The page's script, with the SDK of that package. */
export async function bundle(name) {
  const { outputFiles } = await build({
    entryPoints: [path.join(here, 'page.mjs')],
    absWorkingDir: here,
    alias: { 'stack-sdk': name },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
    // The SDK asks for its settings in the environment; a page has none.
    define: { 'process.env': '{}', 'process.env.NODE_ENV': '"production"' },
  });
  return outputFiles[0].text;
}
