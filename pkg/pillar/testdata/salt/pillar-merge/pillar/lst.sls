lst: true
