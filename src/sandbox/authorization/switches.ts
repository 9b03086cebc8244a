/** Faults that a test turns on in the authorization server, to see what a client does about them. */
export interface Switches {
  /** smart-configuration lists only `plain`. */
  noS256: boolean;
  /** smart-configuration gives references without a scheme, to be resolved against the FHIR base. */
  relativeUrls: boolean;
  /** Every authorization ends with this OAuth error. */
  error: string | null;
  /** The token is for this patient instead of the launch's. */
  otherPatient: string | null;
  /** The token answer has no expires_in. */
  noExpiresIn: boolean;
}

export const noSwitches: Readonly<Switches> = { noS256: false, relativeUrls: false, error: null, otherPatient: null, noExpiresIn: false };
