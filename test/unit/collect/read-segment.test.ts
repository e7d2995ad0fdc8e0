import { describe, expect, it } from 'vitest';
import { readSegment, readSegmentHeader } from '../../../src/collect/read-segment.js';
import type { NativeBinding } from '../../../src/native-binding.js';
import { codedError } from '../../support/fake-world.js';

const throwing = (error: Error): NativeBinding => {
  const read = (): never => {
    throw error;
  };
  return { readSegment: read, readSegmentHeader: read } as unknown as NativeBinding;
};

describe('readSegment', () => {
  it.each([
    ['ENOENT', 'x.seg: no such file', /cgoprof ps/],
    ['EACCES', 'x.seg: permission denied', /root/],
    ['NOT_A_SEGMENT', 'x.seg: not a cgoprof segment', /cgoprof merge/],
    ['SEGMENT_VERSION', 'x.seg: a segment of another cgoprof version (detail)', /wrote it/],
    ['SEGMENT_STARTING', 'x.seg: the process has not finished setting it up', /again/],
    ['SEGMENT_DAMAGED', 'x.seg: a damaged segment (detail)', /cut short/],
    ['EIO', 'x.seg: detail', /^$/],
  ])('explains %s', (code, message, hint) => {
    const native = throwing(codedError(code, 'detail'));
    const explained = expect.objectContaining({ message, hint: expect.stringMatching(hint), exitCode: 1 });
    expect(() => readSegment(native, 'x.seg')).toThrow(explained);
    expect(() => readSegmentHeader(native, 'x.seg')).toThrow(explained);
  });

  it('leaves a defect of ours what it is', () => {
    const error = new TypeError('undefined is not a function');
    expect(() => readSegment(throwing(error), 'x.seg')).toThrow(error);
  });
});
