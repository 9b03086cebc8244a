/** The CPU runtime with a count of the decoder rows that were computed, to see what the reuse of caches saves. */
import { openStockRuntime } from '#runtime/ort-stock.ts';
import type { OrtRuntime } from '#runtime/port.ts';

export interface CountingRuntime {
  readonly runtime: OrtRuntime;
  /** Rows through the decoder since the last call of `take`, and images through the encoder. */
  take(): { readonly rows: number; readonly images: number };
}

export function countingRuntime(): CountingRuntime {
  const cpu = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
  let rows = 0;
  let images = 0;
  return {
    runtime: {
      ...cpu,
      load: async (path) => {
        const session = await cpu.load(path);
        return {
          release: () => session.release(),
          run: (feeds, fetches) => {
            rows += feeds.inputs_embeds?.dims[1] ?? 0;
            images += feeds.pixel_values?.dims[0] ?? 0;
            return session.run(feeds, fetches);
          },
        };
      },
    },
    take() {
      const taken = { rows, images };
      rows = 0;
      images = 0;
      return taken;
    },
  };
}
