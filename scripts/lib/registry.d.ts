export function startRegistry(options?: { storage?: string }): Promise<{ host: string; stop(): Promise<void> }>;
export function pushImage(host: string, source: string, reference: string): void;
export function buildImages(names: readonly string[]): string[];
export function imageCache(name: string): string;
