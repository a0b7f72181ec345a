// A real registry on loopback: Debian's docker-registry, for the demo and for the tests (CommonJS, so that Jest loads it too).
'use strict';
const { spawn, spawnSync } = require('node:child_process');
const { mkdtempSync, mkdirSync, rmSync } = require('node:fs');
const { homedir, tmpdir } = require('node:os');
const { join } = require('node:path');

/**
 * Starts a registry on a free port of 127.0.0.1. Its blobs lie in `storage`, which stays; without it they go when it is
 * stopped. It ends with this process, even a killed one.
 */
async function startRegistry({ storage } = {}) {
  const temporary = storage === undefined ? mkdtempSync(join(tmpdir(), `dinghy-registry-${process.pid}-`)) : undefined;
  const rootdirectory = storage ?? temporary;
  mkdirSync(rootdirectory, { recursive: true });
  // A parent-death signal follows the thread that spawned, which for Node is its main one.
  const args = ['--pdeathsig', 'KILL', 'docker-registry', 'serve', join(__dirname, 'registry.yml')];
  const child = spawn('setpriv', args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: rootdirectory },
  });
  const exited = new Promise((resolve) => child.once('close', resolve));
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  };
  try {
    return { host: `127.0.0.1:${await listeningPort(child)}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

// It says which port it got in its log.
function listeningPort(child) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.once('error', (error) => reject(new Error(`docker-registry did not start: ${error.message}`)));
    child.once('exit', () => reject(new Error(`docker-registry ended at once:\n${text}`)));
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (chunk) => {
      if (text.length < 65536) text += chunk;
      const [, port] = /listening on 127\.0\.0\.1:(\d+)/.exec(text) ?? [];
      if (port !== undefined) resolve(Number(port));
    });
  });
}

/** Copies an image of an OCI layout (`folder:tag`) to the registry, under `repository:tag`. */
function pushImage(host, source, reference) {
  const args = ['copy', '--insecure-policy', '--quiet', '--dest-tls-verify=false', '--preserve-digests'];
  const result = spawnSync('skopeo', [...args, `oci:${source}`, `docker://${host}/${reference}`], { encoding: 'utf8' });
  if (result.status !== 0)
    throw new Error(`skopeo could not push ${reference}: ${result.stderr ?? result.error?.message}`);
}

/** Makes images (see test/support/images) or finds them made; gives `folder:tag` for each. Shows what takes long. */
function buildImages(names) {
  const script = join(__dirname, '..', '..', 'test', 'support', 'images', 'build');
  const asRoot = process.getuid() === 0 ? [] : ['sudo', '--preserve-env=HOME,XDG_CACHE_HOME,DEBIAN_MIRROR,http_proxy'];
  const [command, ...args] = [...asRoot, script, ...names];
  const result = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (result.status !== 0) throw new Error(`the images could not be made: ${names.join(' ')}`);
  return result.stdout.trim().split('\n');
}

/** A folder beside the images that were made: what is in it can be made again. */
function imageCache(name) {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'dinghy-test', name);
}

module.exports = { startRegistry, pushImage, buildImages, imageCache };
