/**
 * The process of one engine: started by `device.ts`, obeys its messages one after the other, ends when its parent does.
 *
 * It is a process and not a thread because the library blocks its event loop while it computes, and because a crash or a kill in here must
 * cost one attempt, never the service.
 */
import { constants, getPriority, setPriority } from 'node:os';
import { codeOf, WetreadError } from '#domain/errors.ts';
import { openBundle } from '#model/bundle.ts';
import { type Conversation, openConversation } from './conversation.ts';
import type { CallMessage, CallName, Calls, OpenReply, ReplyMessage } from './device-protocol.ts';
import { type KnownAnswers, tryKnownAnswers } from './known-answer.ts';
import { openStockRuntime } from './ort-stock.ts';
import type { Provider } from './port.ts';

// Whoever waits for a card waits for the service, not for the engine, though both want the same cores. Threads that start later inherit it.
setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));

let conversation: Conversation | null = null;

function send(message: ReplyMessage): void {
  // The channel is gone when the parent has ended; `disconnect` below then ends this process.
  if (process.connected) process.send?.(message);
}

function opened(): Conversation {
  if (conversation === null) throw new WetreadError('internal', 'no bundle was opened in this process');
  return conversation;
}

function probe(provider: Provider): Promise<KnownAnswers> {
  return tryKnownAnswers(openStockRuntime({ provider, threads: 1, strict: true }));
}

async function open(request: Calls['open']['request']): Promise<OpenReply> {
  const { provider, bundleDir, threads } = request;
  const bundle = await openBundle(bundleDir, { digests: 'check' });
  const { name, version, sizes } = bundle.manifest;
  const knownAnswers = await probe(provider);
  for (const need of sizes.needs) {
    const fault = knownAnswers[need];
    if (fault !== null) throw new WetreadError('device-unavailable', fault);
  }
  conversation = await openConversation(openStockRuntime({ provider, threads, strict: false }), bundle);
  return { bundle: { name, version, digest: bundle.digest }, needs: sizes.needs, knownAnswers };
}

async function answer(message: CallMessage): Promise<Calls[CallName]['reply']> {
  switch (message.call) {
    case 'probe':
      return await probe(message.request.provider);
    case 'open':
      return await open(message.request);
    case 'ask':
      return await opened().ask(message.request, (text) => send({ id: message.id, kind: 'text', text }));
    case 'score':
      return await opened().score(message.request.promptId, message.request.keep, message.request.nullImage);
    case 'release':
      opened().release(message.request.promptId);
      return null;
  }
}

async function obey(message: CallMessage): Promise<void> {
  const { id } = message;
  try {
    send({ id, kind: 'value', value: await answer(message) });
  } catch (error) {
    const hint = error instanceof WetreadError ? error.hint : null;
    send({ id, kind: 'error', code: codeOf(error), message: error instanceof Error ? error.message : String(error), hint });
  }
}

let last = Promise.resolve();
// Only `device.ts` of the same version speaks on this channel, in the form of CallMessage.
process.on('message', (message: CallMessage) => {
  last = last.then(() => obey(message));
});
process.on('disconnect', () => process.exit(0));
// A signal to the whole group (Ctrl-C in a shell) is the parent's to handle: it closes this process when its work is done.
process.on('SIGINT', () => undefined);
