users: {b: 2}
