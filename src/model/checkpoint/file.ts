/**
 * Positioned reads of a checkpoint file. Files are larger than memory, so nothing here reads one whole.
 * Node reads at most 2 GiB per call: longer ranges are read in pieces.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { WetreadError } from '#domain/errors.ts';

const pieceBytes = 2 ** 30;

export interface CheckpointFile {
  /** Last part of the path, for messages. */
  readonly name: string;
  readonly size: number;
  /** @throws checkpoint-unreadable when the range does not lie in the file. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** Opens a file for positioned reads. @throws checkpoint-unreadable */
export async function openFile(path: string): Promise<CheckpointFile> {
  const name = basename(path);
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (cause) {
    throw new WetreadError('checkpoint-unreadable', `${name}: cannot be opened`, {
      cause,
      hint: 'check that the file is complete and readable',
    });
  }
  const { size } = await handle.stat();
  return {
    name,
    size,
    close: () => handle.close(),
    async read(offset, length) {
      if (offset < 0 || length < 0 || offset + length > size) {
        throw new WetreadError(
          'checkpoint-unreadable',
          `${name}: bytes ${offset} to ${offset + length} are named, the file has ${size}: it is truncated or damaged`,
          { hint: 'fetch this file again' },
        );
      }
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(pieceBytes, length - done), offset + done);
        if (bytesRead === 0) throw new WetreadError('checkpoint-unreadable', `${name}: ended at byte ${offset + done} while it was read`);
        done += bytesRead;
      }
      return bytes;
    },
  };
}
