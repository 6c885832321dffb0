comp: true
osname: {{ grains['os'] }}
