'use strict';

/**
 * First and last names. The event generator draws customers from them, and the
 * screening in enrich.js its made-up watch list, so that some customers come close.
 */

exports.FIRST_NAMES = [
  'Aaliyah', 'Andrei', 'Beatriz', 'Bogdan', 'Carlos', 'Chiara', 'Dimitri', 'Elena',
  'Fatima', 'Giorgio', 'Hannah', 'Ibrahim', 'Ingrid', 'Joaquim', 'Katarina', 'Leopold',
  'Magdalena', 'Nikolai', 'Oksana', 'Priyanka', 'Rafael', 'Svetlana', 'Tobias', 'Yusuf',
];

exports.LAST_NAMES = [
  'Abramov', 'Almeida', 'Bianchi', 'Castellano', 'Dragomir', 'Eriksson', 'Fernandez', 'Gonzalez',
  'Haddad', 'Ivanovic', 'Jankowski', 'Kowalczyk', 'Lindqvist', 'Marchetti', 'Nakamura', 'Oliveira',
  'Papadakis', 'Petrenko', 'Rasmussen', 'Sandoval', 'Takahashi', 'Vasquez', 'Wieczorek', 'Zimmermann',
];
