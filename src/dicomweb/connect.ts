/** From the site file to an open DICOMweb client. A backend token comes in as a function, because it is made by the FHIR room. */
import { openNeighbour } from '#net/neighbour.ts';
import { basicToken, bearerToken, type Token } from '#net/token.ts';
import type { BackendAuth, Site } from '#site/site.ts';
import { type Dicomweb, openDicomweb } from './client.ts';
import type { RetrieveSetup } from './retrieve.ts';

export interface DicomwebConnection {
  readonly client: Dicomweb;
  readonly close: () => Promise<void>;
}

export interface DicomwebPorts {
  /** #dicom/read.ts readUids */
  readonly readUids: RetrieveSetup['readUids'];
  /** #fhir/connect.ts connectBackend; used when dicomweb.auth is backend. */
  readonly connectBackend: (
    auth: BackendAuth,
    audience: string,
    ca: string | null,
  ) => Promise<{ token: Token; close: () => Promise<void> }>;
}

/** @throws site-invalid for a key that does not fit */
export async function connectDicomweb(
  site: Pick<Site, 'dicomweb' | 'patients' | 'limits'>,
  ports: DicomwebPorts,
): Promise<DicomwebConnection> {
  const { roots, auth, ca } = site.dicomweb;
  const { instanceBytes, seriesBytes, pacsTotalMs: totalMs, idleMs } = site.limits;
  const origins = Object.values(roots);
  const neighbour = openNeighbour({ name: 'PACS', origins, ca, maxBytes: seriesBytes, totalMs, idleMs });
  const backend = auth.kind === 'backend' ? await ports.connectBackend(auth, roots.qido, ca) : null;
  const token = (): Token | null => {
    if (auth.kind === 'basic') return basicToken(roots.qido, auth.user, auth.password.reveal());
    if (auth.kind === 'bearer') return bearerToken(roots.qido, auth.token.reveal());
    return backend?.token ?? null;
  };
  return {
    client: openDicomweb({
      roots,
      neighbour,
      token: token(),
      readUids: ports.readUids,
      defaultIssuer: site.patients.defaultIssuer,
      limits: { maxPartBytes: instanceBytes, maxAnswerBytes: seriesBytes },
    }),
    close: async () => void (await Promise.all([neighbour.close(), backend?.close()])),
  };
}
