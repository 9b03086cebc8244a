/** The same suite on the embedded store and on PostgreSQL: one driver, one code path, one behaviour. */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Draft } from '#domain/draft.ts';
import { WetreadError } from '#domain/errors.ts';
import { recordFeedback, rememberCard } from '#work/cards.ts';
import { issueContext, resolveContext, useJti } from '#work/contexts.ts';
import {
  beginAttempt,
  countFailure,
  firstMention,
  queuedKeys,
  readDraft,
  readSnapshot,
  registerDraft,
  settleFailed,
  settleReady,
} from '#work/drafts.ts';
import { openJobs } from '#work/jobs.ts';
import { type Deliver, deliverDue, deliveriesOf, releaseLeases } from '#work/outbox.ts';
import { openPictureCache } from '#work/pictures.ts';
import { retain } from '#work/retention.ts';
import { newSealKey, seal, unseal } from '#work/snapshot.ts';
import { retry, standing } from '#work/standing.ts';
import { openStore, type Store, type StoreLocation } from '#work/store.ts';
import { type PostgreSql, startPostgreSql } from '../postgresql/postgresql.ts';
import { available } from '../setup/require.ts';

// The store keeps a draft as it is; of what is inside it looks at the model only.
const model = { digest: 'd1', name: 'model' };
const draftOf = (key: string) => ({ key, model, statements: [], generatedAt: '2026-11-24T10:00:00Z' }) as unknown as Draft;

const nothing: Deliver = async () => ({});

function suite(name: string, locate: () => Promise<StoreLocation>, end: () => void) {
  describe(name, () => {
    let store: Store;
    let location: StoreLocation;
    const register = (key: string) => registerDraft(store, { key, patientId: 'p1', studyUid: '1.2.3', snapshot: Buffer.from('sealed') });

    beforeAll(async () => {
      location = await locate();
      store = await openStore(location);
    });
    afterAll(async () => {
      await store.close();
      end();
    });

    test('a draft is registered once, settled once, and its snapshot goes with the job', async () => {
      expect(await register('a')).toBe(true);
      expect(await register('a')).toBe(false);
      expect((await readSnapshot(store.query, 'a'))?.toString()).toBe('sealed');
      expect(await settleReady(store, draftOf('a'), 'pending', ['fhir', 'pacs'])).toBe(true);
      expect(await settleReady(store, draftOf('a'), 'pending', ['fhir', 'pacs'])).toBe(false);
      expect(await readSnapshot(store.query, 'a')).toBeNull();
      expect(await readDraft(store.query, 'a')).toEqual({
        state: 'ready',
        draft: { ...draftOf('a'), supersedes: [] },
        isSuperseded: false,
      });
    });

    test('a failed draft keeps its code, and its request until retention', async () => {
      await register('b');
      await settleFailed(store.query, 'b', 'dicomweb-truncated', 'the answer ended early');
      expect(await readDraft(store.query, 'b')).toEqual({
        state: 'failed',
        code: 'dicomweb-truncated',
        message: 'the answer ended early',
        isSuperseded: false,
      });
      expect(await readSnapshot(store.query, 'b')).not.toBeNull();
      await store.query(`update draft set settled_at = now() - interval '2 hours' where key = 'b'`);
      const pictures = await openPictureCache(mkdtempSync(join(tmpdir(), 'wetread-none-')), newSealKey());
      await retain(store, pictures, { picturesHours: 1, draftsDays: null }, new Date());
      expect(await readSnapshot(store.query, 'b')).toBeNull();
      expect(await retry(store, 'b')).toEqual([]);
    });

    test('a failed draft is brought back with its request, and its attempts are counted anew', async () => {
      await register('back');
      expect(await beginAttempt(store.query, 'back')).toEqual({ starts: 1, failures: 0 });
      await countFailure(store.query, 'back');
      expect(await beginAttempt(store.query, 'back')).toEqual({ starts: 2, failures: 1 });
      await settleFailed(store.query, 'back', 'engine-died', 'the process ended');
      expect(await beginAttempt(store.query, 'back')).toBeNull();
      expect((await standing(store.query)).find(({ key }) => key === 'back')).toMatchObject({
        of: 'draft',
        state: 'failed',
        tries: 2,
        code: 'engine-died',
        retryable: true,
      });
      expect(await retry(store, 'back')).toEqual(['draft']);
      expect(await retry(store, 'back')).toEqual([]);
      expect(await beginAttempt(store.query, 'back')).toEqual({ starts: 1, failures: 0 });
    });

    test('a dead delivery is brought back', async () => {
      await register('dead');
      await settleReady(store, draftOf('dead'), 'pending', ['pacs']);
      await store.query(`update outbox set state = 'dead', code = 'net-timeout', attempts = 10 where draft_key = 'dead'`);
      expect((await standing(store.query)).find(({ key }) => key === 'dead')).toMatchObject({ of: 'pacs', state: 'dead', retryable: true });
      expect(await retry(store, 'dead')).toEqual(['pacs']);
      expect((await deliveriesOf(store.query, 'dead'))[0]).toMatchObject({ state: 'pending', attempts: 0, code: null });
    });

    test('a queued draft is named for the queue after its time, a settled one never', async () => {
      await register('lost');
      expect(await queuedKeys(store.query, 0)).toContain('lost');
      expect(await queuedKeys(store.query, 3600)).not.toContain('lost');
      await settleFailed(store.query, 'lost', 'pixel-missing', 'no image');
      expect(await queuedKeys(store.query, 0)).not.toContain('lost');
    });

    test('a lease is renewed while its delivery lasts', async () => {
      await register('slow');
      await settleReady(store, draftOf('slow'), 'pending', ['fhir']);
      const due = async () => {
        const [row] = await store.query<{ left: number }>(
          `select extract(epoch from next_at - now())::float8 as left from outbox where draft_key = 'slow'`,
        );
        return row?.left ?? 0;
      };
      const seen: number[] = [];
      const slow: Deliver = async ({ key }) => {
        if (key !== 'slow') return {};
        await wait(800);
        seen.push(await due());
        return {};
      };
      await deliverDue(store, { maxAttempts: 1, leaseSeconds: 0.6, deliver: { fhir: slow, pacs: nothing } });
      expect(seen).toHaveLength(1);
      expect(seen[0]).toBeGreaterThan(0);
    });

    test('a transaction that throws leaves nothing behind', async () => {
      await expect(
        store.transaction(async (query) => {
          await query(`insert into draft (key, patient_id, study_uid, state) values ('half', 'p', '1', 'queued')`);
          throw new Error('stop');
        }),
      ).rejects.toThrow('stop');
      expect(await readDraft(store.query, 'half')).toBeNull();
    });

    test('held deliveries wait for the feedback, are delivered once, and failures end as a visible dead letter', async () => {
      await register('c');
      await settleReady(store, draftOf('c'), 'held', ['fhir', 'pacs']);
      await rememberCard(store.query, { uuid: '00000000-0000-4000-8000-00000000000c', suggestion: null, draftKey: 'c' });
      const options = { deliver: { fhir: nothing, pacs: nothing }, maxAttempts: 2, leaseSeconds: 30 };
      await deliverDue(store, options);
      expect((await deliveriesOf(store.query, 'c')).map((row) => row.state)).toEqual(['held', 'held']);
      const feedback = {
        card: '00000000-0000-4000-8000-00000000000c',
        outcome: 'accepted',
        at: '2026-11-24T10:05:31Z',
        reason: undefined,
      } as const;
      expect(await recordFeedback(store, feedback)).toBe('c');
      expect(await recordFeedback(store, feedback)).toBe('c');
      let sent = 0;
      const refuse: Deliver = async () => {
        throw new WetreadError('dicomweb-store-failed', 'the archive refused it');
      };
      const count: Deliver = async (draft) => {
        if (draft.key === 'c') sent += 1;
        return { id: 'x' };
      };
      for (let round = 0; round < 3; round += 1) {
        await deliverDue(store, { ...options, deliver: { fhir: count, pacs: refuse } });
        await releaseLeases(store.query);
      }
      expect(sent).toBe(1);
      const [fhir, pacs] = await deliveriesOf(store.query, 'c');
      expect(fhir).toMatchObject({ state: 'delivered', result: { id: 'x' } });
      expect(pacs).toMatchObject({ state: 'dead', attempts: 2, code: 'dicomweb-store-failed' });
    });

    test('a row that a dead process had taken is due again once its lease is released', async () => {
      await register('leased');
      await settleReady(store, draftOf('leased'), 'pending', ['fhir']);
      let sent = 0;
      // As takeDue leaves it while it is being delivered.
      await store.query(`update outbox set attempts = 1, next_at = now() + interval '1 hour' where draft_key = 'leased'`);
      const options = { maxAttempts: 5, leaseSeconds: 3600 };
      const count: Deliver = async () => {
        sent += 1;
        return {};
      };
      await deliverDue(store, { ...options, deliver: { fhir: count, pacs: nothing } });
      expect(sent).toBe(0);
      await releaseLeases(store.query);
      await deliverDue(store, { ...options, deliver: { fhir: count, pacs: nothing } });
      expect(sent).toBe(1);
    });

    test('feedback for an unknown card is recorded as nothing', async () => {
      const feedback = {
        card: '00000000-0000-4000-8000-0000000000ff',
        outcome: 'overridden',
        at: '2026-11-24T10:05:31Z',
        reason: undefined,
      } as const;
      expect(await recordFeedback(store, feedback)).toBeNull();
    });

    test('"being prepared" is said once per order', async () => {
      await register('d');
      expect(await firstMention(store.query, 'd', 'ServiceRequest/1')).toBe(true);
      expect(await firstMention(store.query, 'd', 'ServiceRequest/1')).toBe(false);
      expect(await firstMention(store.query, 'd', 'ServiceRequest/2')).toBe(true);
    });

    test('a context is found by its token until it expires, a changed one never', async () => {
      const token = await issueContext(store.query, 'a', 'p1', 1);
      expect(await resolveContext(store.query, token)).toEqual({ draftKey: 'a', patientId: 'p1' });
      expect(await resolveContext(store.query, `${token}x`)).toBeNull();
      const expired = await issueContext(store.query, 'a', 'p1', -1);
      expect(await resolveContext(store.query, expired)).toBeNull();
    });

    test('a jti is good once per issuer', async () => {
      const later = new Date(Date.now() + 60_000);
      expect(await useJti(store.query, 'https://ehr.example', 'j1', later)).toBe(true);
      expect(await useJti(store.query, 'https://ehr.example', 'j1', later)).toBe(false);
      expect(await useJti(store.query, 'https://other.example', 'j1', later)).toBe(true);
    });

    test('a key is queued once and handed out again after a failure', async () => {
      const errors: Error[] = [];
      const jobs = await openJobs(store, { attempts: 2, limitSeconds: 60, supervises: true, onError: (error) => errors.push(error) });
      let handed = 0;
      await jobs.enqueue('job', 'interactive');
      await jobs.enqueue('job', 'interactive');
      await new Promise<void>((done) => {
        void jobs.work(async (key) => {
          if (key !== 'job') throw new Error('another key');
          handed += 1;
          if (handed === 2) done();
          else throw new Error('first attempt fails');
        }, 1);
      });
      await jobs.stop();
      expect(handed).toBe(2);
      expect(errors).toEqual([]);
    });

    test('an interactive key goes first', async () => {
      const jobs = await openJobs(store, { attempts: 1, limitSeconds: 60, supervises: true, onError: () => undefined });
      await jobs.enqueue('background', 'background');
      await jobs.enqueue('interactive', 'interactive');
      const began: string[] = [];
      await new Promise<void>((done) => {
        void jobs.work(async (key) => {
          began.push(key);
          if (began.length === 2) done();
        }, 1);
      });
      expect(began).toEqual(['interactive', 'background']);
      await jobs.stop();
    });

    test('a key that hangs leaves room for others', async () => {
      const jobs = await openJobs(store, { attempts: 1, limitSeconds: 60, supervises: true, onError: () => undefined });
      await jobs.enqueue('hangs', 'interactive');
      await jobs.enqueue('other', 'background');
      const free = Promise.withResolvers<void>();
      await new Promise<void>((done) => {
        void jobs.work(async (key) => {
          if (key === 'hangs') await free.promise;
          else done();
        }, 2);
      });
      free.resolve();
      await jobs.stop();
    });

    test('retention deletes old pictures and old drafts, and nothing with an open delivery', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'wetread-pictures-'));
      const pictures = await openPictureCache(folder, newSealKey());
      const old = await pictures.put(Buffer.from('old'));
      const fresh = await pictures.put(Buffer.from('fresh'));
      utimesSync(join(folder, old), new Date(0), new Date(0));
      await register('old');
      await settleReady(store, draftOf('old'), 'held', ['fhir']);
      await register('open');
      await settleReady(store, draftOf('open'), 'pending', ['fhir']);
      await store.query(`update draft set settled_at = now() - interval '90 days' where key in ('old', 'open')`);
      const removed = await retain(store, pictures, { picturesHours: 1, draftsDays: 30 }, new Date());
      expect(removed).toEqual({ pictures: 1, drafts: 1 });
      expect(await pictures.get(old)).toBeNull();
      expect((await pictures.get(fresh))?.toString()).toBe('fresh');
      expect(await readDraft(store.query, 'old')).toBeNull();
      expect(await readDraft(store.query, 'open')).not.toBeNull();
      rmSync(folder, { recursive: true });
    });

    test('what was settled is still there after closing and opening again', async () => {
      await store.close();
      store = await openStore(location);
      expect((await readDraft(store.query, 'a'))?.state).toBe('ready');
    });
  });
}

const folder = mkdtempSync(join(tmpdir(), 'wetread-work-'));
suite(
  'embedded store',
  async () => ({ kind: 'embedded', folder }),
  () => rmSync(folder, { recursive: true, force: true }),
);

if (available('postgresql')) {
  let server: PostgreSql;
  suite(
    'PostgreSQL',
    async () => {
      server = await startPostgreSql();
      return { kind: 'postgresql', url: server.url };
    },
    () => server.stop(),
  );
}

describe('data folder', () => {
  test('a second process on the same folder is data-locked, and the folder is free after a kill', async () => {
    const locked = mkdtempSync(join(tmpdir(), 'wetread-lock-'));
    const holder = fork(new URL('./hold-lock.ts', import.meta.url), [locked], { execArgv: [] });
    await new Promise((ready) => holder.once('message', ready));
    const { lockFolder } = await import('#work/lock.ts');
    expect(() => lockFolder(locked)).toThrowError(expect.objectContaining({ code: 'data-locked' }));
    const gone = new Promise((exit) => holder.once('exit', exit));
    holder.kill('SIGKILL');
    await gone;
    lockFolder(locked).release();
    rmSync(locked, { recursive: true });
  });
});

describe('snapshot', () => {
  test('opens with its key and purpose only', () => {
    const key = newSealKey();
    const sealed = seal(key, 'snapshot:a', Buffer.from('evidence'));
    expect(unseal(key, 'snapshot:a', sealed).toString()).toBe('evidence');
    expect(sealed.includes('evidence')).toBe(false);
    expect(() => unseal(key, 'snapshot:b', sealed)).toThrowError(expect.objectContaining({ code: 'store-unavailable' }));
    expect(() => unseal(newSealKey(), 'snapshot:a', sealed)).toThrowError(expect.objectContaining({ code: 'store-unavailable' }));
  });
});
