/** Storage of the authorization server: everything in memory, gone at the end of the process, as launches and tokens of a sandbox may be. */
import type { Adapter, Payload } from 'oidc-provider';

interface Kept {
  readonly payload: Payload;
  readonly expiresMs: number;
}

/** Adapters by model name that share one memory; `find('Client', id)` also looks into `clients`. */
export function memoryAdapters(nowMs: () => number, clients: ReadonlyMap<string, Payload>): (model: string) => Adapter {
  const kept = new Map<string, Kept>();

  function read(key: string): Payload | undefined {
    const found = kept.get(key);
    if (found === undefined || found.expiresMs > nowMs()) return found?.payload;
    kept.delete(key);
    return undefined;
  }

  function sweep(): void {
    for (const [key, { expiresMs }] of kept) if (expiresMs <= nowMs()) kept.delete(key);
  }

  return (model) => ({
    async upsert(id, payload, expiresIn) {
      if (kept.size % 200 === 199) sweep();
      kept.set(`${model}:${id}`, { payload, expiresMs: expiresIn === undefined ? Number.POSITIVE_INFINITY : nowMs() + expiresIn * 1000 });
    },
    find: async (id) => (model === 'Client' ? clients.get(id) : read(`${model}:${id}`)),
    findByUserCode: async () => undefined,
    async findByUid(uid) {
      const key = [...kept.keys()].find((one) => one.startsWith(`${model}:`) && read(one)?.uid === uid);
      return key === undefined ? undefined : read(key);
    },
    async consume(id) {
      const found = kept.get(`${model}:${id}`);
      if (found !== undefined)
        kept.set(`${model}:${id}`, { ...found, payload: { ...found.payload, consumed: Math.floor(nowMs() / 1000) } });
    },
    async destroy(id) {
      kept.delete(`${model}:${id}`);
    },
    async revokeByGrantId(grantId) {
      for (const [key, { payload }] of kept) if (payload.grantId === grantId) kept.delete(key);
    },
  });
}
