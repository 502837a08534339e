// What node-CoT needs to encode the event that cot_bench encodes (tests/vectors/cot/vehicle.xml).
//
// usage: node encode_rivals.mjs [--seconds S]
//
// Prints one line of JSON: {"protobuf": events/s, "xml": events/s, "bytes": of a frame}. From numbers and texts to its
// CoT object, to the stream frame or the XML. One core.
// Exit 77, with the reason: its packages are not there (tests/peers/setup_node.sh node-cot).

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const root = new URL('../../', import.meta.url);
const folder = new URL('.cache/node/node-cot/', root);
if (!existsSync(new URL('.installed', folder))) {
  console.error('no packages of node-cot; get them with tests/peers/setup_node.sh node-cot');
  process.exit(77);
}
const entry = createRequire(new URL('package.json', folder)).resolve.paths('@tak-ps/node-cot')[0] + '/@tak-ps/node-cot/dist/index.js';
const { default: CoT, CoTParser } = await import(pathToFileURL(entry).href);

const seconds = Number(process.argv[process.argv.indexOf('--seconds') + 1] || 1) || 1;
const given = CoTParser.from_xml(readFileSync(new URL('tests/vectors/cot/vehicle.xml', root))).raw.event;
delete given.detail['_flow-tags_'];

function cot() {
  const now = Date.now();
  const time = new Date(now).toISOString();
  const detail = {};
  for (const name in given.detail) detail[name] = { ...given.detail[name] };
  return new CoT({
    event: {
      _attributes: { ...given._attributes, time, start: time, stale: new Date(now + 300000).toISOString() },
      point: { _attributes: { ...given.point._attributes } },
      detail,
    },
  });
}

async function frame() {
  const payload = await CoTParser.to_proto(cot());
  const head = [0xbf];
  let size = payload.length;
  for (; size >= 0x80; size >>>= 7) head.push((size & 0x7f) | 0x80);
  head.push(size);
  return Buffer.concat([Buffer.from(head), payload]);
}

// By CPU time of the main thread and its helpers, as the benchmark of our own encoder counts.
function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function perSecond(encode) {
  const begin = cpuSeconds();
  for (let done = 50; ; done += 50) {
    for (let i = 0; i < 50; i++) await encode();
    const took = cpuSeconds() - begin;
    if (took >= seconds) return done / took;
  }
}

const first = await frame();
if (!first.includes(given._attributes.uid) || !first.includes('__detection')) throw new Error('not the event');
const result = {
  protobuf: await perSecond(frame),
  xml: await perSecond(() => CoTParser.to_xml(cot())),
  bytes: first.length,
};
console.log(JSON.stringify(result));
