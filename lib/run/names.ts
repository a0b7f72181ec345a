import { randomInt } from 'node:crypto';

// Small boats and what they're like.
const adjectives = [
  ...[
    'able',
    'agile',
    'amber',
    'brave',
    'breezy',
    'bright',
    'brisk',
    'calm',
    'clever',
    'cosy',
    'deft',
    'eager',
    'early',
  ],
  ...[
    'fair',
    'fleet',
    'gentle',
    'glad',
    'golden',
    'handy',
    'happy',
    'hardy',
    'jolly',
    'keen',
    'kind',
    'light',
    'lively',
  ],
  ...['lucky', 'merry', 'mild', 'neat', 'nimble', 'patient', 'plucky', 'quick', 'quiet', 'ready', 'sandy', 'silver'],
  ...['snug', 'spry', 'steady', 'sturdy', 'sunny', 'swift', 'tidy', 'trim', 'trusty', 'warm', 'wise', 'witty'],
];
const boats = [
  ...['ark', 'barge', 'bark', 'canoe', 'catboat', 'clipper', 'cog', 'coracle', 'corvette', 'currach', 'cutter', 'dhow'],
  ...['dory', 'felucca', 'ferry', 'gig', 'gondola', 'jolly', 'junk', 'kayak', 'ketch', 'launch', 'longboat', 'lugger'],
  ...['outrigger', 'packet', 'pinnace', 'pram', 'punt', 'raft', 'sampan', 'schooner', 'scow', 'shallop', 'skiff'],
  ...['sloop', 'smack', 'tender', 'trawler', 'tug', 'wherry', 'whaler', 'yawl', 'zebec'],
];

/** A name nobody gave: `brisk_skiff`, with four digits from the second try on. */
export function randomName(attempt: number): string {
  const name = `${adjectives[randomInt(adjectives.length)]}_${boats[randomInt(boats.length)]}`;
  return attempt === 0 ? name : `${name}${randomInt(1000, 10000)}`;
}
