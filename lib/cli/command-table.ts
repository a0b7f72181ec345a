import type { Command } from 'commander';
import type { Context } from './context';

/** What a file of commands/ gives. */
export interface CommandModule {
  configure(command: Command, context: Context): void;
}

export interface CommandEntry {
  summary: string;
  /** Loads its file: only the command that was typed is loaded. */
  load: () => CommandModule;
}

/** Every command that works, in the order of the help. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  run: { summary: 'create and start a container', load: () => require('./commands/run') as CommandModule },
  create: { summary: 'create a container', load: () => require('./commands/create') as CommandModule },
  login: { summary: 'log in to a registry', load: () => require('./commands/login') as CommandModule },
  logout: { summary: 'log out from a registry', load: () => require('./commands/logout') as CommandModule },
  start: { summary: 'start containers', load: () => require('./commands/start') as CommandModule },
  attach: { summary: "relay a running container's streams", load: () => require('./commands/attach') as CommandModule },
  exec: { summary: 'run a command in a running container', load: () => require('./commands/exec') as CommandModule },
  ps: { summary: 'list containers', load: () => require('./commands/ps') as CommandModule },
  logs: { summary: "show a container's output", load: () => require('./commands/logs') as CommandModule },
  stop: { summary: 'stop containers', load: () => require('./commands/stop') as CommandModule },
  kill: { summary: 'send containers a signal', load: () => require('./commands/kill') as CommandModule },
  restart: { summary: 'stop and start containers', load: () => require('./commands/restart') as CommandModule },
  rename: { summary: 'give a container another name', load: () => require('./commands/rename') as CommandModule },
  pause: { summary: 'freeze containers', load: () => require('./commands/pause') as CommandModule },
  unpause: { summary: 'thaw containers', load: () => require('./commands/unpause') as CommandModule },
  wait: {
    summary: 'wait for containers to end, print their exit codes',
    load: () => require('./commands/wait') as CommandModule,
  },
  update: {
    summary: 'change the limits and the restart policy of containers',
    load: () => require('./commands/update') as CommandModule,
  },
  rm: { summary: 'remove containers', load: () => require('./commands/rm') as CommandModule },
  stats: { summary: 'show what containers use', load: () => require('./commands/stats') as CommandModule },
  top: { summary: "show a container's processes", load: () => require('./commands/top') as CommandModule },
  cp: {
    summary: 'copy files into and out of containers',
    load: () => require('./commands/cp') as CommandModule,
  },
  diff: {
    summary: "show what was changed in a container's files",
    load: () => require('./commands/diff') as CommandModule,
  },
  port: { summary: 'show where ports are published', load: () => require('./commands/port') as CommandModule },
  commit: { summary: 'make an image of a container', load: () => require('./commands/commit') as CommandModule },
  export: {
    summary: "write a container's file system as a tar archive",
    load: () => require('./commands/export') as CommandModule,
  },
  inspect: {
    summary: 'tell all about containers and images',
    load: () => require('./commands/inspect') as CommandModule,
  },
  pull: { summary: 'fetch an image from a registry', load: () => require('./commands/pull') as CommandModule },
  import: {
    summary: "make an image of a file system's archive",
    load: () => require('./commands/import') as CommandModule,
  },
  push: { summary: 'upload an image to a registry', load: () => require('./commands/push') as CommandModule },
  images: { summary: 'list images', load: () => require('./commands/images') as CommandModule },
  history: { summary: 'show how an image was built', load: () => require('./commands/history') as CommandModule },
  tag: { summary: 'give an image one more name', load: () => require('./commands/tag') as CommandModule },
  rmi: { summary: 'remove images', load: () => require('./commands/rmi') as CommandModule },
  save: { summary: 'write images into an archive', load: () => require('./commands/save') as CommandModule },
  load: { summary: 'take the images of an archive', load: () => require('./commands/load') as CommandModule },
  image: { summary: 'image prune', load: () => require('./commands/image') as CommandModule },
  container: { summary: 'container prune', load: () => require('./commands/container') as CommandModule },
  system: {
    summary: 'prune, restore and verify the data folder',
    load: () => require('./commands/system') as CommandModule,
  },
  network: { summary: 'make, list, remove networks', load: () => require('./commands/network') as CommandModule },
  volume: { summary: 'make, list, remove volumes', load: () => require('./commands/volume') as CommandModule },
  events: { summary: 'tell what happens, as it happens', load: () => require('./commands/events') as CommandModule },
  info: { summary: 'tell what this host can do', load: () => require('./commands/info') as CommandModule },
  version: { summary: 'show the version', load: () => require('./commands/version') as CommandModule },
};

/** Docker's commands that this version does not have, and what does the work meanwhile. */
export const notYet: Readonly<Record<string, string>> = {
  build: 'build with `buildah bud` or `docker build`, push to a registry, and pull it from there',
  compose: 'start the services from a program, or one by one with `dinghy run`',
};
