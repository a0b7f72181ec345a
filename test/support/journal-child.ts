// Notes events as a dinghy process does: `journal-child STATE WRITER COUNT [PAD]`, or until it is killed with COUNT 0.
import { noteEvent } from '../../lib/run/journal';

const [state = '', writer = '', count = '0', pad = '100'] = process.argv.slice(2);
for (let number = 0; count === '0' || number < Number(count); number++) {
  const attributes = { writer, number: String(number), pad: 'x'.repeat(Number(pad)) };
  noteEvent(state, { type: 'container', action: 'start', id: writer, attributes });
}
