/**
 * What a test may need beyond the clone, and whether it is here.
 *
 * With WETREAD_TEST_REQUIRE=all an absent thing is a failure; otherwise the tests that need it are left out, and test/setup/global.ts
 * prints at the end what was left out and how to get it.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

function onPath(...commands: string[]): boolean {
  return commands.every((command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0);
}

/** Path below the reference material (WETREAD_SHARED, default ../shared beside the clone). */
export function sharedPath(...parts: string[]): string {
  return join(process.env.WETREAD_SHARED ?? resolve(root, '../shared'), ...parts);
}

/** As Debian's package lays it. */
export const pixelmedJar = '/usr/share/java/pixelmed.jar';

/** Each thing: how to see that it is here, and how to get it. */
export const things = {
  shared: { here: () => existsSync(sharedPath('golden')), how: 'set WETREAD_SHARED to the folder of the reference material' },
  orthanc: {
    here: () => onPath('Orthanc') && existsSync('/usr/share/orthanc/plugins/libOrthancDicomWeb.so'),
    how: 'Debian packages orthanc orthanc-dicomweb',
  },
  postgresql: { here: () => existsSync('/usr/lib/postgresql'), how: 'Debian package postgresql' },
  chromium: { here: () => onPath('chromium'), how: 'Debian packages chromium fonts-dejavu-core' },
  dciodvfy: { here: () => onPath('dciodvfy'), how: 'Debian package dicom3tools' },
  pixelmed: {
    here: () => onPath('java') && existsSync(pixelmedJar),
    how: 'Debian packages libpixelmed-java default-jdk-headless',
  },
  dcmtk: { here: () => onPath('dcmdump', 'dsrdump'), how: 'Debian package dcmtk' },
  java: { here: () => onPath('java', 'mvn'), how: 'Debian packages default-jdk-headless maven' },
  linux: { here: () => existsSync('/proc/self/statm') && onPath('prlimit'), how: 'a Linux with the Debian package util-linux' },
} as const;

export type Thing = keyof typeof things;

/** True when `thing` is here. @throws when it is absent and WETREAD_TEST_REQUIRE=all. */
export function available(thing: Thing): boolean {
  if (things[thing].here()) return true;
  if (process.env.WETREAD_TEST_REQUIRE === 'all') throw new Error(`${thing} is required and absent: ${things[thing].how}`);
  const record = process.env.WETREAD_LEFT_OUT;
  if (record !== undefined) appendFileSync(record, `${thing}\n`);
  return false;
}
