/**
 * The neighbours of a site, opened once: FHIR server and PACS, each with its own allow-list, limits and credentials (the service's lane).
 *
 * The EHR's own token is another lane: `requestLane` makes a client for one hook call, and the token is gone with it.
 */
import { readUids } from '#dicom/read.ts';
import { type Dicomweb, openDicomweb } from '#dicomweb/client.ts';
import { type FhirClient, openFhir } from '#fhir/client.ts';
import { connectBackend } from '#fhir/connect.ts';
import { type Neighbour, openNeighbour } from '#net/neighbour.ts';
import { basicToken, bearerToken, type Token } from '#net/token.ts';
import type { DicomwebAuth, Site } from '#site/site.ts';

export interface Lanes {
  /** Our own account at the FHIR server. */
  readonly fhir: FhirClient;
  readonly pacs: Dicomweb;
  /** Null = the FHIR server needs no token of ours. */
  readonly fhirToken: Token | null;
  /** A client with the EHR's token for one call; null when its FHIR server is not one that the site knows. */
  requestLane(fhirServer: string, accessToken: string | null, otherBases: readonly string[]): FhirClient | null;
  /** Public keys of our backend clients, for the JWKS that authorization servers read. */
  readonly publicKeys: readonly object[];
  close(): Promise<void>;
}

/** The credential of a connection; a backend's token is asked for at its first use. */
async function tokenOf(
  auth: DicomwebAuth,
  audience: string,
  ca: string | null,
  closers: (() => Promise<void>)[],
  keys: object[],
): Promise<Token | null> {
  switch (auth.kind) {
    case 'none':
      return null;
    case 'basic':
      return basicToken(audience, auth.user, auth.password.reveal());
    case 'bearer':
      return bearerToken(audience, auth.token.reveal());
    case 'backend': {
      const lane = await connectBackend(auth, audience, ca);
      closers.push(lane.close);
      keys.push(lane.key.publicJwk);
      return lane.token;
    }
  }
}

/** @throws site-invalid for a key that does not fit; nothing is asked of a neighbour yet */
export async function openLanes(site: Site): Promise<Lanes> {
  const { limits } = site;
  const closers: (() => Promise<void>)[] = [];
  const publicKeys: object[] = [];
  const fhirNeighbour = openNeighbour({
    name: 'FHIR server',
    origins: [site.fhir.base],
    ca: site.fhir.ca,
    maxBytes: limits.fhirAnswerBytes,
    idleMs: limits.idleMs,
    totalMs: limits.fhirTotalMs,
  });
  const pacsNeighbour = openNeighbour({
    name: 'PACS',
    origins: Object.values(site.dicomweb.roots),
    ca: site.dicomweb.ca,
    maxBytes: limits.seriesBytes,
    idleMs: limits.idleMs,
    totalMs: limits.pacsTotalMs,
  });
  closers.push(fhirNeighbour.close, pacsNeighbour.close);
  const fhirToken = await tokenOf(site.fhir.auth, site.fhir.base, site.fhir.ca, closers, publicKeys);
  const pacsToken = await tokenOf(site.dicomweb.auth, site.dicomweb.roots.wado, site.dicomweb.ca, closers, publicKeys);
  const requestNeighbours = new Map<string, Neighbour>([[site.fhir.base, fhirNeighbour]]);
  return {
    publicKeys,
    fhirToken,
    fhir: openFhir({ base: site.fhir.base, neighbour: fhirNeighbour, token: fhirToken }),
    pacs: openDicomweb({
      roots: site.dicomweb.roots,
      neighbour: pacsNeighbour,
      token: pacsToken,
      readUids,
      defaultIssuer: site.patients.defaultIssuer,
      limits: { maxPartBytes: limits.instanceBytes, maxAnswerBytes: limits.seriesBytes },
    }),
    requestLane(fhirServer, accessToken, otherBases) {
      const base = fhirServer.replace(/\/+$/, '');
      const known = [site.fhir.base, ...otherBases.map((other) => other.replace(/\/+$/, ''))];
      if (!known.includes(base)) return null;
      let neighbour = requestNeighbours.get(base);
      if (neighbour === undefined) {
        neighbour = openNeighbour({
          name: "EHR's FHIR server",
          origins: [base],
          maxBytes: limits.fhirAnswerBytes,
          idleMs: limits.idleMs,
          totalMs: limits.fhirTotalMs,
        });
        requestNeighbours.set(base, neighbour);
        closers.push(neighbour.close);
      }
      return openFhir({ base, neighbour, token: accessToken === null ? null : bearerToken(base, accessToken) });
    },
    close: async () => {
      await Promise.all(closers.map((close) => close()));
    },
  };
}
