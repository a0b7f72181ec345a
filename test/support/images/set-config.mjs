// set-config.mjs LAYOUT FROM TO CONFIG.json: in the OCI layout, TO becomes the image FROM with the `config` of CONFIG.json.
// umoci cannot set a health check (not an OCI field, yet every engine reads it), so the blobs are written here.
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [layout, from, to, configFile] = process.argv.slice(2);
const kRefName = 'org.opencontainers.image.ref.name';
const blobPath = (digest) => join(layout, 'blobs', ...digest.split(':'));
const readBlob = (digest) => JSON.parse(readFileSync(blobPath(digest), 'utf8'));

function writeBlob(value) {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  writeFileSync(blobPath(digest), bytes);
  return { digest, size: bytes.length };
}

const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
const entry = index.manifests.find((one) => one.annotations?.[kRefName] === from);
const manifest = readBlob(entry.digest);
const image = readBlob(manifest.config.digest);
image.config = JSON.parse(readFileSync(configFile, 'utf8'));
image.created = new Date().toISOString();
delete image.author;
manifest.config = { ...manifest.config, ...writeBlob(image) };
const tagged = { ...entry, ...writeBlob(manifest), annotations: { [kRefName]: to } };
index.manifests = [...index.manifests.filter((one) => ![from, to].includes(one.annotations?.[kRefName])), tagged];
const temporary = join(layout, 'index.json.new');
writeFileSync(temporary, JSON.stringify(index));
renameSync(temporary, join(layout, 'index.json'));
