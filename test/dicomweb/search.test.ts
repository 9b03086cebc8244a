import { afterEach, describe, expect, test } from 'vitest';
import { uidOf } from '#domain/uid.ts';
import { json } from '../net/servers.ts';
import { archive, closeAll, codeFrom, hit, pageOf, query, seriesUid, study } from './archive.ts';

afterEach(closeAll);

describe('QIDO-RS', () => {
  test('pages until a page is empty, also when the archive gives fewer than asked', async () => {
    const all = Array.from({ length: 7 }, (_, n) => hit(uidOf(`s${n}`)));
    const { client, server } = await archive((asked, response) => {
      json(response, all.slice(Number(query(asked).get('offset'))).slice(0, 3));
    });
    const { found, warnings } = await client.searchStudies({ patientId: 'P1' });
    expect(found).toHaveLength(7);
    expect(warnings).toEqual([]);
    expect(server.asked.map((asked) => query(asked).get('offset'))).toEqual(['0', '3', '6', '7']);
  });

  test('an archive that ignores offset ends the search and gives each study once', async () => {
    const { client, server } = await archive((_, response) => json(response, [hit(uidOf('a')), hit(uidOf('b'))]));
    expect((await client.searchStudies({ patientId: 'P1' })).found).toHaveLength(2);
    expect(server.asked).toHaveLength(2);
  });

  test.each([
    ['the first page for every offset', (_offset: number) => 0, 100],
    ['two pages in turn', (offset: number) => offset % 200, 200],
  ])('an archive that gives %s is read once, and it is said that there may be more', async (_, at, count) => {
    const all = Array.from({ length: 300 }, (_unused, n) => hit(uidOf(`s${n}`)));
    const { client, server } = await archive((asked, response) => {
      const from = at(Number(query(asked).get('offset')));
      json(response, all.slice(from, from + 100));
    });
    const { found, warnings, complete } = await client.searchStudies({ patientId: 'P1' });
    expect([found.length, complete, warnings.map((one) => one.code)]).toEqual([count, false, ['dicomweb-paging']]);
    expect(server.asked).toHaveLength(count / 100 + 1);
  });

  test('an archive with a page limit of its own that repeats a page although it says that more remain is not whole', async () => {
    const warning = '299 PACS: There are 9 additional results that can be requested';
    const { client } = await archive((_, response) => json(response, [hit(uidOf('a')), hit(uidOf('b'))], 200, { warning }));
    expect(await client.searchStudies({ patientId: 'P1' })).toMatchObject({ complete: false, warnings: [{ code: 'dicomweb-paging' }] });
  });

  test('a row that comes again on the next page, as when the archive grows, is taken once and the rest is read', async () => {
    const all = ['a', 'b', 'b', 'c', 'd'].map((name) => hit(uidOf(name)));
    const { client } = await archive((asked, response) => {
      const offset = Number(query(asked).get('offset'));
      json(response, all.slice(offset, offset + 2));
    });
    const { found, complete } = await client.searchStudies({ patientId: 'P1' });
    expect([found.map((one) => one.uid), complete]).toEqual([['a', 'b', 'c', 'd'].map((name) => uidOf(name)), true]);
  });

  test('each field asked for is a parameter of its own: Orthanc ignores a list whose comma is encoded', async () => {
    const { client, server } = await archive((_, response) => json(response, []));
    await client.searchStudies({ patientId: 'P1' });
    const [asked] = server.asked;
    if (asked === undefined) throw new Error('nothing was asked');
    expect(query(asked).getAll('includefield')).toEqual(expect.arrayContaining(['00100021', '00081030', '00100030']));
    expect(query(asked).getAll('includefield').join()).toMatch(/^[0-9A-F]{8}(,[0-9A-F]{8})*$/);
    expect(asked.url).not.toMatch(/includefield=[^&]*(,|%2C)/i);
  });

  test('204 is none', async () => {
    const { client } = await archive((_, response) => void response.writeHead(204).end());
    expect(await client.searchStudies({ patientId: 'P1' })).toEqual({ found: [], warnings: [], complete: true });
  });

  test('an archive without end is read to a limit and it is said', async () => {
    let n = 0;
    const { client } = await archive((_, response) => {
      n += 1;
      json(
        response,
        Array.from({ length: 100 }, (_unused, index) => hit(uidOf(`${n}.${index}`))),
      );
    });
    const { found, warnings } = await client.searchStudies({ patientId: 'P1' });
    expect(found).toHaveLength(2000);
    expect(warnings.map((one) => one.code)).toEqual(['dicomweb-capped']);
  });

  test('an ignored key is an error when no hit matches, and a warning when some do', async () => {
    const foreign = hit(uidOf('f'), { '00100020': 'OTHER' });
    const { client } = await archive((asked, response) => json(response, pageOf(asked, [foreign])));
    expect(await codeFrom(client.searchStudies({ patientId: 'P1' }))).toBe('dicomweb-ignored-key');
    const mixed = await archive((asked, response) => json(response, pageOf(asked, [foreign, hit(uidOf('a'))])));
    const { found, warnings } = await mixed.client.searchStudies({ patientId: 'P1' });
    expect(found.map((one) => one.uid)).toEqual([uidOf('a')]);
    expect(warnings.map((one) => one.code)).toEqual(['dicomweb-ignored-key']);
  });

  test.each([
    ['another accession', { accession: 'A1' }, { '00080050': 'A2' }],
    ['a date outside', { from: '2024-01-01', to: '2024-12-31' }, { '00080020': '20230101' }],
    ['no date', { from: '2024-01-01' }, { '00080020': null }],
    ['another modality', { modality: 'CT' }, { '00080061': 'MR' }],
    ['another study', { studyUid: study }, {}],
  ])('a hit with %s is not taken', async (_, asked, values) => {
    const { client } = await archive((request, response) => json(response, pageOf(request, [hit(uidOf('x'), values)])));
    expect(await codeFrom(client.searchStudies({ patientId: 'P1', ...asked }))).toBe('dicomweb-ignored-key');
  });

  test('a PatientID that differs in letter case only is another patient, and it is said', async () => {
    const other = hit(uidOf('f'), { '00100020': 'ab1' });
    const { client } = await archive((asked, response) => json(response, pageOf(asked, [other])));
    const { found, warnings } = await client.searchStudies({ patientId: 'AB1' });
    expect([found, warnings.map((one) => one.code)]).toEqual([[], ['dicomweb-ignored-key']]);
    const both = await archive((asked, response) => json(response, pageOf(asked, [other, hit(uidOf('a'), { '00100020': 'AB1' })])));
    expect((await both.client.searchStudies({ patientId: 'AB1' })).found.map((one) => one.uid)).toEqual([uidOf('a')]);
  });

  test.each(['', '  ', '*', 'P*', 'P?', 'P1\\P2'])(
    'the PatientID %j, which an archive reads as several or all, is never sent',
    async (patientId) => {
      const { client, server } = await archive((_, response) => json(response, [hit(uidOf('a'))]));
      expect(await codeFrom(client.searchStudies({ patientId }))).toBe('request-malformed');
      expect(server.asked).toHaveLength(0);
    },
  );

  test.each(['P_1', 'P%1', 'P[1]', 'P1,P2'])('the PatientID %s, a pattern to some archives, brings nobody else in', async (patientId) => {
    const all = [hit(uidOf('a'), { '00100020': 'PX1' }), hit(uidOf('b'), { '00100020': patientId }), hit(uidOf('c'), { '00100020': 'P1' })];
    const { client, server } = await archive((asked, response) => json(response, pageOf(asked, all)));
    const { found, warnings } = await client.searchStudies({ patientId });
    expect([found.map((one) => one.uid), warnings.map((one) => one.code)]).toEqual([[uidOf('b')], ['dicomweb-ignored-key']]);
    expect(server.asked.map((asked) => query(asked).getAll('PatientID'))).toEqual([[patientId], [patientId]]);
  });

  test('a PatientID of another issuer is left out with a warning, one without issuer stays', async () => {
    const all = [hit(uidOf('a'), { '00100021': 'OTHER' }), hit(uidOf('b'), { '00100021': 'HOSP' }), hit(uidOf('c'))];
    const { client } = await archive((asked, response) => json(response, pageOf(asked, all)));
    const { found, warnings } = await client.searchStudies({ patientId: 'P1', issuer: 'HOSP' });
    expect(found.map((one) => one.uid)).toEqual([uidOf('b'), uidOf('c')]);
    expect(warnings.map((one) => one.code)).toEqual(['dicomweb-other-issuer']);
  });

  test('dirty values are unknown and a hit without a valid UID is left out with a warning', async () => {
    const dirty = {
      '00080020': '11111111',
      '00100030': '1997.04.24',
      '00100040': 'X',
      '00080030': '9',
      '00100010': { Alphabetic: 'Doe^Jane^Q=x' },
    };
    const all = [hit(uidOf('a'), dirty), hit('2e2884fea560')];
    const { client } = await archive((asked, response) => json(response, pageOf(asked, all)));
    const { found, warnings, complete } = await client.searchStudies({ patientId: 'P1' });
    expect(complete).toBe(false);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({
      date: null,
      time: null,
      identity: { sex: null, birthDate: '1997-04-24', name: { family: 'Doe', given: ['Jane', 'Q'] } },
    });
    expect(warnings.map((one) => one.code)).toEqual(['dicomweb-unusable-hit']);
  });

  test('a Warning header is kept, the one about further results is not a loss', async () => {
    const { client } = await archive((asked, response) => {
      const warning =
        '299 PACS: The fuzzymatching parameter is not supported., 299 PACS: There are 4 additional results that can be requested';
      json(response, pageOf(asked, [hit(uidOf('a'))]), 200, { warning });
    });
    const { warnings } = await client.searchStudies({ patientId: 'P1' });
    expect(warnings).toEqual([{ code: 'dicomweb-warning', message: expect.stringContaining('fuzzymatching') }]);
  });

  test.each([
    ['HTML with 200', 200, 'text/html', '<html>', 'dicomweb-unexpected-type'],
    ['broken JSON', 200, 'application/dicom+json', '[{', 'dicomweb-bad-json'],
    ['an object', 200, 'application/dicom+json', '{}', 'dicomweb-bad-json'],
    ['null', 200, 'application/dicom+json', 'null', 'dicomweb-bad-json'],
    ['nothing', 200, 'application/dicom+json', '', 'dicomweb-bad-json'],
    ['multipart', 200, 'multipart/related; boundary=b', '--b--', 'dicomweb-unexpected-type'],
    ['401', 401, 'text/plain', 'no', 'dicomweb-unauthorised'],
    ['403', 403, 'application/json', '{}', 'dicomweb-unauthorised'],
    ['404', 404, 'text/html', '<html>', 'not-found'],
    ['413', 413, 'application/json', '{}', 'dicomweb-refused'],
    ['503', 503, 'text/html', '<html>', 'dicomweb-refused'],
    ['a redirect', 302, 'text/html', '', 'net-redirect-refused'],
  ])('%s is a coded error', async (_, status, type, body, code) => {
    const { client } = await archive(
      (_asked, response) => void response.writeHead(status, { 'content-type': type, location: '/elsewhere' }).end(body),
    );
    expect(await codeFrom(client.searchStudies({ patientId: 'P1' }))).toBe(code);
  });

  test('a caller who gives up ends the search', async () => {
    const controller = new AbortController();
    const { client, server } = await archive(() => controller.abort());
    expect(await codeFrom(client.searchStudies({ patientId: 'P1' }, { signal: controller.signal }))).toBe('net-timeout');
    expect(await codeFrom(client.describe(study, 'instances', { signal: controller.signal }))).toBe('net-timeout');
    expect(server.asked).toHaveLength(1);
  });

  test('broken JSON once is asked for again', async () => {
    let first = true;
    const { client } = await archive((asked, response) => {
      if (first) response.writeHead(200, { 'content-type': 'application/dicom+json' }).end('[{');
      else json(response, pageOf(asked, [hit(uidOf('a'))]));
      first = false;
    });
    expect((await client.searchStudies({ patientId: 'P1' })).found).toHaveLength(1);
  });

  test('series of another study in the answer are left out with a warning', async () => {
    const own = hit(study, { '0020000E': uidOf('e1'), '00080060': 'CT', '00200060': 'L', '00180015': 'CHEST' });
    const other = hit(uidOf('other'), { '0020000E': uidOf('e2'), '00080060': 'CT' });
    const { client } = await archive((asked, response) => json(response, pageOf(asked, [own, other])));
    const { found, warnings } = await client.searchSeries(study);
    expect(found).toEqual([
      { uid: uidOf('e1'), modality: 'CT', number: null, description: null, bodyPart: 'CHEST', side: 'left', instances: [] },
    ]);
    expect(warnings.map((one) => one.code)).toEqual(['dicomweb-ignored-key']);
  });

  test('series and instances that are all of another study are an error, never an empty study', async () => {
    const { client } = await archive((asked, response) => {
      const { pathname } = new URL(asked.url, 'http://x');
      const below = pathname.endsWith('/studies') ? hit(study) : hit(uidOf('other'), { '0020000E': uidOf('e'), '00080060': 'CT' });
      json(response, pageOf(asked, [below]));
    });
    expect(await codeFrom(client.searchSeries(study))).toBe('dicomweb-ignored-key');
    expect(await codeFrom(client.searchInstances(study, seriesUid))).toBe('dicomweb-ignored-key');
    expect(await codeFrom(client.describe(study, 'series'))).toBe('dicomweb-ignored-key');
  });

  test('a study that is said to have more instances than are listed is described with a warning', async () => {
    const { client } = await archive((asked, response) => {
      const { pathname } = new URL(asked.url, 'http://x');
      if (pathname.endsWith('/instances'))
        json(response, pageOf(asked, [hit(study, { '00080018': uidOf('i'), '00080016': uidOf('class') })]));
      else if (pathname.endsWith('/series')) json(response, pageOf(asked, [hit(study, { '0020000E': seriesUid, '00080060': 'DX' })]));
      else json(response, pageOf(asked, [hit(study, { '00201208': 3 })]));
    });
    const { study: found, warnings, complete } = await client.describe(study, 'instances');
    expect(found?.series[0]?.instances).toHaveLength(1);
    expect([complete, warnings.map((one) => one.code)]).toEqual([false, ['dicomweb-count-differs']]);
  });

  test('a study with an instance or a series that cannot be named is not complete; a series without a modality is left out with a warning', async () => {
    const answer = async (instance: string, seriesName: string, modality: string | null, sopClass: string | null = uidOf('class')) => {
      const { client } = await archive((asked, response) => {
        const { pathname } = new URL(asked.url, 'http://x');
        const own = { '00080018': instance, '00080016': sopClass };
        if (pathname.endsWith('/instances')) json(response, pageOf(asked, [hit(study, own)]));
        else if (pathname.endsWith('/series'))
          json(response, pageOf(asked, [hit(study, { '0020000E': seriesName, '00080060': modality })]));
        else json(response, pageOf(asked, [hit(study, { '00201208': 1 })]));
      });
      const { complete, warnings } = await client.describe(study, 'instances');
      return [complete, [...new Set(warnings.map((one) => one.code))]];
    };
    expect(await answer(uidOf('i'), seriesUid, 'DX')).toEqual([true, []]);
    expect(await answer('2e2884fea560', seriesUid, 'DX')).toEqual([false, ['dicomweb-unusable-hit', 'dicomweb-count-differs']]);
    expect(await answer(uidOf('i'), seriesUid, 'DX', null)).toEqual([false, ['dicomweb-unusable-hit', 'dicomweb-count-differs']]);
    expect(await answer(uidOf('i'), '2e2884fea560', 'DX')).toEqual([false, ['dicomweb-unusable-hit']]);
    expect(await answer(uidOf('i'), seriesUid, null)).toEqual([true, ['dicomweb-unusable-hit']]);
  });
});
