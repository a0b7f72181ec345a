// A name server in a process of its own, for other network namespaces: `name-server-child FOLDER ADDRESS JSON`.
import { NameServer } from './name-server';

const [, address = '', json = '{}'] = process.argv.slice(2);

void NameServer.start(address, JSON.parse(json) as Record<string, string>).then(() => console.log('ready'));
