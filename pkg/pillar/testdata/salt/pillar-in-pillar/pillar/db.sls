{% set m = {'x': grains['id']} %}
me: {{ m.x }}
ports: {{ range(80, 83) | list }}
