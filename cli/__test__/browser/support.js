'use strict';
// A real browser: one that is installed, or Debian's, which is installed where that is possible.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** @returns {string | null} the path of the program */
function installed() {
  const places = (process.env.PATH ?? '').split(':').flatMap((folder) => NAMES.map((name) => `${folder}/${name}`));
  return [process.env.CHROMIUM ?? '', ...places].find((file) => file !== '' && fs.existsSync(file)) ?? null;
}

/** Installs one where there is none. @returns {string | null} why there is none */
function install() {
  if (installed() !== null) return null;
  const isDebian = fs.existsSync('/etc/debian_version') && process.getuid?.() === 0;
  if (!isDebian) return 'there is no Chromium or Chrome on the PATH, and only root on Debian can install one here';
  console.log("installing Debian's chromium");
  const apt = (/** @type {string[]} */ ...args) => spawnSync('apt-get', ['--yes', '--quiet', ...args], { encoding: 'utf8' });
  apt('update');
  const { status, stderr } = apt('install', '--no-install-recommends', 'chromium', 'fonts-dejavu-core');
  return status === 0 && installed() !== null ? null : `apt-get could not install chromium: ${stderr.trim().slice(-300)}`;
}

module.exports = { install, installed };
