import { isDinghyError } from '../errors';
import { addImage } from '../layers/add-image';
import { type PackedLayer, packLayer } from '../layers/pack-layer';
import type { SettledUnpackLimits } from '../layers/unpack-limits';
import { composeImage, type NewHistoryEntry } from '../oci/compose';
import { imageVariables } from '../oci/container-config';
import { shownName } from '../oci/reference';
import { addContent, type Adding } from '../store/add-content';
import { contentOfImage, type StoredImage } from '../store/images';
import type { LayerRecord } from '../store/layers';
import type { Store } from '../store/store';
import { committedConfig, type CommitSettings } from './commit-options';
import type { ContainerControl } from './container-control';
import { noteContainer } from './journal';
import { stillThere } from './still-there';
import { whileServed } from './while-served';

export interface CommitParts {
  store: Store;
  limits?: SettledUnpackLimits;
}

/**
 * An image is in the store that is the container's own with one more layer, of what was changed in the container's files; with none where
 * nothing was, and with one more for each that a fork froze. When it fails or is aborted nothing of it is left, and the container is as it was.
 * @throws ERR_IMAGE_NOT_FOUND when the container's image was removed · ERR_CONTAINER_NOT_FOUND · ERR_ARCHIVE · ERR_LAYER · ERR_NO_SPACE ·
 *   ERR_STORE · ABORT_ERR
 */
export async function commitContainer(
  control: ContainerControl,
  { store, limits }: CommitParts,
  settings: CommitSettings,
): Promise<StoredImage> {
  const { record, context } = control;
  await store.open();
  const image = await addContent(store, new AbortController(), settings.signal, async (adding) => {
    const base = await holdBase(store, record.imageId, adding);
    const own = await packOwnLayers(control, { store, ...(limits ? { limits } : {}) }, settings, adding);
    return addCommit(control, store, { base, own, settings }, adding);
  });
  noteContainer(context.state, record, 'commit', {
    comment: settings.message,
    imageID: image.id,
    imageRef: settings.name === undefined ? '' : shownName(settings.name),
  });
  return image;
}

/** The container's image, of which nothing is collected from now on. */
async function holdBase(store: Store, id: string, { lease, signal }: Adding): Promise<StoredImage> {
  const found = await store.images.get(id);
  await lease.hold(contentOfImage(found), signal);
  return store.images.get(id);
}

/**
 * What the container wrote, bottom first: its upper folder, and each of the layers that were frozen of it or its bases. The upper folder
 * is read first and tells which those are; that they never change makes it one moment.
 */
async function packOwnLayers(
  control: ContainerControl,
  parts: CommitParts,
  { pause }: CommitSettings,
  adding: Adding,
): Promise<LayerRecord[]> {
  const doing = `commit container ${control.record.name}`;
  const pack = (how: { frozen?: string; pause?: 'briefly' | 'read' }): Promise<PackedLayer> =>
    whileServed(control, adding.signal, (place, link) =>
      packLayer(
        {
          ...parts,
          fields: { ...place, ...(how.frozen === undefined ? {} : { frozen: how.frozen }) },
          ...(how.pause === undefined ? {} : { pause: how.pause }),
          doing,
          confirm: () => stillThere(control, link, `cannot ${doing}`),
        },
        adding,
      ),
    );
  const upper = await packUpper(control, pause, pack);
  const packed = [upper];
  for (const layer of upper.frozen) {
    packed.push(await pack({ frozen: layer }));
  }
  return packed.reverse().flatMap(({ record }) => record ?? []);
}

/** Standing still unless that was declined, or is neither possible nor asked for. */
async function packUpper(
  { record }: ContainerControl,
  pause: boolean | undefined,
  pack: (how: { pause?: 'briefly' | 'read' }) => Promise<PackedLayer>,
): Promise<PackedLayer> {
  if (pause === false) {
    return pack({});
  }
  try {
    // Another file system's copy would not hold overlayfs's marks: there is no data folder on an overlay that has them.
    return await pack({ pause: record.rootfsProvider === 'overlay' ? 'briefly' : 'read' });
  } catch (error) {
    if (pause || !isDinghyError(error) || error.code !== 'ERR_HOST_UNSUPPORTED') {
      throw error;
    }
    return pack({});
  }
}

async function addCommit(
  { record }: ContainerControl,
  store: Store,
  { base, own, settings }: { base: StoredImage; own: readonly LayerRecord[]; settings: CommitSettings },
  adding: Adding,
): Promise<StoredImage> {
  const { author, message: comment, name } = settings;
  const created = new Date();
  // One that was made by an older version knows no more than its image.
  const config = record.config ?? { ...base.config, env: imageVariables(base.config.env) };
  const layers = [...base.layers.map((diffId, index) => ({ diffId, blob: base.blobs[index]! })), ...own];
  const step = { created, createdBy: (config.command ?? []).join(' '), comment, author, emptyLayer: own.length === 0 };
  const composed = composeImage({
    platform: base.platform,
    created,
    author,
    config: committedConfig(config, settings),
    layers,
    history: [...historyOf(base), ...own.slice(1).map(() => ({ created, comment: 'frozen by a fork' })), step],
  });
  return addImage(
    store,
    composed,
    layers.map(({ diffId }) => diffId),
    name,
    adding,
  );
}

/** With an entry for each layer, also where the image tells of fewer: readers count them. */
function historyOf({ history, layers }: StoredImage): NewHistoryEntry[] {
  const told = history.filter(({ emptyLayer }) => !emptyLayer).length;
  return [...Array.from({ length: Math.max(0, layers.length - told) }, () => ({})), ...history];
}
