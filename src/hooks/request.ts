/**
 * The CDS Hooks request as it comes in (CDS Hooks 2.0, and the 3.0 ballot's additions as unknown members): parsed once, then trusted.
 *
 * What matters is strict (hook, ids, draftOrders); what EHRs add is let through.
 */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';

/** FHIR logical id (R4 datatypes, id). */
const fhirId = z.string().regex(/^[A-Za-z0-9\-.]{1,64}$/, 'expected a FHIR id');
const userId = z
  .string()
  .regex(/^(Practitioner|PractitionerRole|Patient|RelatedPerson)\/[A-Za-z0-9\-.]{1,64}$/, 'expected ResourceType/id');

const resource = z.looseObject({ resourceType: z.string() });

const orderSign = z.looseObject({
  hook: z.string(),
  hookInstance: z.uuid('expected a UUID'),
  fhirServer: z.url().optional(),
  fhirAuthorization: z
    .looseObject({
      access_token: z.string().min(1),
      token_type: z.string().refine((type) => type.toLowerCase() === 'bearer', 'expected Bearer'),
      expires_in: z.coerce.number().optional(),
      scope: z.string().optional(),
      subject: z.string().optional(),
      patient: z.string().optional(),
    })
    .optional(),
  context: z.looseObject({
    userId,
    patientId: fhirId,
    encounterId: fhirId.nullish(),
    draftOrders: resource.extend({
      resourceType: z.literal('Bundle'),
      entry: z.array(z.looseObject({ resource: z.unknown() })).optional(),
    }),
  }),
  prefetch: z.record(z.string(), z.unknown()).optional(),
});

export type OrderSignRequest = z.infer<typeof orderSign>;

/** @throws request-malformed with the path of the first fault, hook-mismatch */
export function parseOrderSign(body: unknown): OrderSignRequest {
  const named = z.looseObject({ hook: z.string() }).safeParse(body);
  if (named.success && named.data.hook !== 'order-sign') {
    throw new WetreadError('hook-mismatch', `found hook ${JSON.stringify(named.data.hook.slice(0, 60))}, this service answers order-sign`);
  }
  return parsed(orderSign, body);
}

const feedback = z.looseObject({
  feedback: z
    .array(
      z
        .looseObject({
          card: z.uuid('expected the uuid of a card'),
          outcome: z.enum(['accepted', 'overridden']),
          acceptedSuggestions: z.array(z.looseObject({ id: z.string() })).optional(),
          overrideReason: z.looseObject({ reason: z.unknown().optional(), userComment: z.string().optional() }).optional(),
          outcomeTimestamp: z.iso.datetime({ offset: true }),
        })
        // CDS Hooks 2.0 Feedback, cds-fb-2.
        .refine(
          (entry) => entry.outcome !== 'accepted' || (entry.acceptedSuggestions?.length ?? 0) > 0,
          'accepted needs acceptedSuggestions',
        ),
    )
    .min(1),
});

export type FeedbackRequest = z.infer<typeof feedback>;

/** @throws request-malformed */
export function parseFeedback(body: unknown): FeedbackRequest {
  return parsed(feedback, body);
}

function parsed<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'the body' : issue.path.join('.');
  throw new WetreadError('request-malformed', `${where}: ${issue?.message ?? 'not as expected'}`, {
    hint: 'see CDS Hooks 2.0, HTTP Request',
  });
}
