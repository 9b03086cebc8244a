/**
 * The sandbox's FHIR server as a process of its own, without images: `node hospital.ts DATA-FOLDER BUNDLE-FILE...`
 *
 * Prints one line of JSON once it answers, and ends at SIGTERM.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startSandbox } from '#sandbox/sandbox.ts';

const [dataDir, ...fhirBundles] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('expected a data folder');
const dicom = join(dataDir, 'no-images');
mkdirSync(dicom, { recursive: true });
const sandbox = await startSandbox({
  dataDir,
  ports: { fhir: 0, dicomweb: 0, authorization: 0 },
  dicomFolders: [dicom],
  fhirBundles,
  now: () => new Date(),
});
process.once('SIGTERM', () => void sandbox.close());
const refused = sandbox.bundles.filter((file) => file.refused !== null).map(({ path, refused: reason }) => ({ path, reason }));
process.stdout.write(`${JSON.stringify({ fhir: sandbox.fhir, refused })}\n`);
