import * as registry from '../../scripts/lib/registry.js';

/** A docker-registry on loopback; it ends with this process. */
export interface RealRegistry {
  /** `127.0.0.1:43211` */
  readonly host: string;
  stop(): Promise<void>;
}

export type TestImage = 'busybox' | 'nginx' | 'node' | 'redis' | 'postgres' | 'mariadb';

/** Starts a registry and puts the test images into it, each as `library/<name>:<tag>`. They are made the first time. */
export async function startRegistryWith(images: Partial<Record<TestImage, string>>): Promise<RealRegistry> {
  const names = Object.keys(images) as TestImage[];
  const sources = registry.buildImages(names);
  const started = await registry.startRegistry({ storage: registry.imageCache('registry') });
  try {
    names.forEach((name, index) => {
      registry.pushImage(started.host, sources[index]!, `library/${name}:${images[name]}`);
    });
  } catch (error) {
    await started.stop();
    throw error;
  }
  return started;
}
