#!/bin/sh
exec /usr/lib/dockbridge/node /usr/lib/dockbridge/main.js "$@"
