// The name of the folder in which this rig is installed, which changes with whatever makes an older installation
// unfit: the packages, and the Node for which one of them was compiled. `tests/run` makes it, and
// `tests/it/support/pds.rs` looks for it.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const read = (name) => readFileSync(new URL(name, import.meta.url));
const { dependencies } = JSON.parse(read('package.json'));
const digest = createHash('sha256').update(read('package.json')).update(read('package-lock.json')).digest('hex');
const node = `node${process.versions.modules}-${process.platform}-${process.arch}`;
console.log(['pds', dependencies['@atproto/pds'], node, digest.slice(0, 12)].join('-'));
