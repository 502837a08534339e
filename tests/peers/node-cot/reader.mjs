// Reads what a TAK stream carried (a file, or stdin without one) with node-CoT, a parser that is not ours.
//
// usage: node reader.mjs [FILE]
//
// Messages one after another: XML events, and stream frames of TAK Protocol v1 (0xbf, length, TakMessage). One line of
// JSON for each: form "xml" or "frame", uid, type, how, time, start, stale, lat, lon, hae, ce, le, remarks, callsign; or
// form and "error". Text that is no event ends as one line with an error, an unfinished tail as {"tail": bytes}. `<auth>`
// is passed over. Exit 0: all were read, 1: there was an error.
import fs from 'node:fs';
import { CoTParser } from '@tak-ps/node-cot';

const bytes = fs.readFileSync(process.argv[2] ?? 0);
const MAGIC = 0xbf;
let errors = 0;
let lines = [];

function say(line) {
  if (line.error !== undefined) errors += 1;
  lines.push(JSON.stringify(line));
  if (lines.length >= 1000) flush();
}

function flush() {
  if (lines.length > 0) fs.writeSync(1, lines.join('\n') + '\n');
  lines = [];
}

function describe(form, cot) {
  const event = cot.raw.event;
  const { uid, type, how, time, start, stale } = event._attributes;
  const point = event.point._attributes;
  const number = (text) => Number(text);
  return {
    form, uid, type, how, time, start, stale,
    lat: number(point.lat), lon: number(point.lon), hae: number(point.hae), ce: number(point.ce), le: number(point.le),
    callsign: event.detail?.contact?._attributes?.callsign,
    remarks: event.detail?.remarks?._text,
  };
}

// The frame at `at`: where its message begins and ends; nothing while it is unfinished.
function frameAt(at) {
  let length = 0;
  for (let i = at + 1, factor = 1; i < bytes.length; i += 1, factor *= 128) {
    length += (bytes[i] & 127) * factor;
    if (bytes[i] < 128) return i + 1 + length <= bytes.length ? { from: i + 1, to: i + 1 + length } : undefined;
  }
  return undefined;
}

let at = 0;
while (at < bytes.length) {
  if (bytes[at] === MAGIC) {
    const frame = frameAt(at);
    if (frame === undefined) break;
    try {
      say(describe('frame', await CoTParser.from_proto(bytes.subarray(frame.from, frame.to))));
    } catch (error) {
      say({ form: 'frame', error: error.message });
    }
    at = frame.to;
    continue;
  }
  const end = bytes.indexOf('</event>', at);
  if (end < 0) break;
  const text = bytes.subarray(at, end + 8).toString('utf8').replace(/^\s*(<\?xml[^>]*\?>)?\s*<auth>.*?<\/auth>/s, '');
  try {
    say(describe('xml', CoTParser.from_xml(text.trim())));
  } catch (error) {
    say({ form: 'xml', error: error.message });
  }
  at = end + 8;
}
if (at < bytes.length && bytes.subarray(at).toString('latin1').trim() !== '') say({ tail: bytes.length - at });
flush();
process.exitCode = errors === 0 ? 0 : 1;
