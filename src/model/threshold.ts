/** The threshold of attribution: it holds for the device and number type that it was calibrated with, and for no other. */
import type { Manifest } from './bundle-manifest.ts';

/** Nats per token; null = not calibrated for this device. */
export function thresholdOn({ attribution, numberType }: Pick<Manifest, 'attribution' | 'numberType'>, device: string): number | null {
  const { threshold } = attribution;
  return threshold !== null && threshold.device === device && threshold.numberType === numberType ? threshold.value : null;
}
