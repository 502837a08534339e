// Queries as a JSON list on stdin; prints a JSON list of what is wrong with each: "" or the text from where it cannot be read.
import { readFileSync } from 'node:fs';
import { parser } from '@grafana/lezer-logql';

const queries = JSON.parse(readFileSync(0, 'utf8'));
const wrong = queries.map((query) => {
  let at = -1;
  parser.parse(query).iterate({
    enter(node) {
      if (at < 0 && node.type.isError) at = node.from;
    },
  });
  return at < 0 ? '' : query.slice(Math.max(0, at - 20), at + 20) || query;
});
console.log(JSON.stringify(wrong));
