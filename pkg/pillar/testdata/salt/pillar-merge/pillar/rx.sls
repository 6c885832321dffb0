rx: true
