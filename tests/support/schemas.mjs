// Checks resources of Argo CD, KEDA and the Prometheus operator by the validators of npm's @kubernetes-models.
//
//   node schemas.mjs NODE_MODULES <documents.json >problems.json
//
// In: a JSON list of documents. Out: for each of them a list of sentences, empty when it is valid.
// The validators say nothing of keys that they do not know, and a cluster drops those without a word. So a document is
// handed over in a wrapper that notes what is read of it: a key that was never asked for is not in the schema. What
// was not looked into at all is free-form (a Helm `valuesObject`) and stays as it is. The packages have lost every
// `description`, also where that is the name of a key.
import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const PACKAGES = {
  "argoproj.io": "argo-cd",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};

function watched(value, reads) {
  if (value === null || typeof value !== "object") return value;
  const node = { keys: new Set(), children: new Map(), value };
  reads.set(value, node);
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "symbol") return target[key];
      node.keys.add(key);
      if (!node.children.has(key)) node.children.set(key, watched(target[key], reads));
      return node.children.get(key);
    },
  });
}

function unread(value, reads, path) {
  const node = reads.get(value);
  if (node === undefined || node.keys.size === 0) return [];
  return Object.keys(value).flatMap((key) =>
    node.keys.has(key) || key === "description" ? unread(value[key], reads, `${path}/${key}`) : [`${path}/${key} is not in the schema`],
  );
}

async function problems(root, document) {
  const [group, version] = document.apiVersion.split("/");
  const file = `${root}/@kubernetes-models/${PACKAGES[group]}/${group}/${version}/${document.kind}.js`;
  if (!existsSync(file)) return [`no schema for ${document.apiVersion} ${document.kind}`];
  const model = (await import(pathToFileURL(file)))[document.kind];
  const reads = new Map();
  try {
    model.prototype.validate.call(watched(document, reads));
  } catch (error) {
    if (!Array.isArray(error.errors)) throw error;
    return error.errors.map((one) => `${one.instancePath} ${one.message}`);
  }
  return unread(document, reads, "");
}

const documents = JSON.parse(readFileSync(0, "utf8"));
const answers = [];
for (const document of documents) answers.push(await problems(process.argv[2], document));
process.stdout.write(JSON.stringify(answers));
