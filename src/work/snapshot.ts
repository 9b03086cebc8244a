/**
 * What a worker needs of a request, sealed with AES-256-GCM and deleted with the job; also the seal of cached pictures.
 *
 * Layout: 12 bytes nonce, 16 bytes tag, ciphertext. `purpose` is authenticated, so that a sealed thing cannot be put in another's place.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { WetreadError } from '#domain/errors.ts';

/** 32 bytes. */
export type SealKey = Buffer;

export function newSealKey(): SealKey {
  return randomBytes(32);
}

export function seal(key: SealKey, purpose: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(purpose, 'utf8'));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

/** @throws store-unavailable when the key, the purpose or the bytes are not those that were sealed. */
export function unseal(key: SealKey, purpose: string, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
    decipher.setAAD(Buffer.from(purpose, 'utf8'));
    decipher.setAuthTag(bytes.subarray(12, 28));
    return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]);
  } catch (cause) {
    throw new WetreadError('store-unavailable', `what was sealed as ${purpose.split(':')[0]} does not open`, {
      hint: 'the snapshot key changed, or the file was altered',
      cause,
    });
  }
}
