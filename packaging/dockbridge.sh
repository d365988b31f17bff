#!/bin/sh
exec /usr/lib/dockbridge/node --enable-source-maps /usr/lib/dockbridge/main.js "$@"
