#!/usr/bin/env python3
"""Sends hostile requests: hostile.py --target 127.0.0.1:PORT [--upstream-port 19200] [--only substr] [--json out.json]
This program IS the upstream (raw recorder on 127.0.0.1:--upstream-port): start the proxy under test so that it forwards there.
Verdict per case: ok | FAIL (with reason). exit code = number of failed 'must' cases.
Forwarded-message invariants checked on the RAW bytes every upstream connection receives (independent of how the recorder parses them):
 I1 no message with both Transfer-Encoding and Content-Length; at most one of each; TE exactly 'chunked'; CL only digits
 I2 no bare CR / bare LF / NUL / obs-fold / space before colon in a forwarded head; field names are tokens
 I3 chunk framing of a forwarded chunked body is well-formed
 I4 no request line for the marker path; no request whose target normalises under the guarded prefix
 I5 no spoofed value / header in '-' '_' '.' folded form"""
import argparse,asyncio,json,os,re,sys,time,base64,hashlib,hmac,urllib.parse
from collections import Counter
HERE=os.path.dirname(os.path.abspath(__file__)); sys.path.insert(0,HERE)
import mint
b64=lambda b: base64.urlsafe_b64encode(b).rstrip(b'=').decode()
ub=lambda s: base64.urlsafe_b64decode(s+'='*(-len(s)%4))
ID_HDR='x-hub-subject'
CASES=[os.path.join(HERE,'../../testdata/gateway',f) for f in('hostile.json','hostile-more.json')]
def expanded(v):
    """Writes runs out: `${repeat:a:1000}` is a thousand times `a`."""
    if isinstance(v,str): return re.sub(r'\$\{repeat:(.):(\d+)\}',lambda m:m[1]*int(m[2]),v,flags=re.S)
    if isinstance(v,list): return [expanded(x) for x in v]
    return {k:expanded(x) for k,x in v.items()} if isinstance(v,dict) else v
def all_cases(): return expanded([c for f in CASES for c in json.load(open(f))])
# ------------------------------------------------------------------ tokens
def make_token(t):
    if t is None: return ''
    if t=='good': t={}
    if 'lit' in t: return t['lit']
    key,alg=t.get('key','rs1'),t.get('alg','RS256'); now=int(time.time())
    cl=mint.claims(0,**t.get('claims',{}))
    for k,d in t.get('claims_rel',{}).items(): cl[k]=now+d
    cl.update(t.get('payload_set',{}))
    hdr={'alg':alg,'typ':'at+jwt','kid':key}
    for k,v in t.get('headers',{}).items():
        if v=='${evil_jwk}':
            p=mint.load('evil').public_key().public_numbers(); v=dict(kty='RSA',n=b64(mint.i2b(p.n)),e=b64(mint.i2b(p.e)))
        hdr[k]=v
    hdr={k:v for k,v in hdr.items() if v is not None}
    if 'alg_raw' in t:
        hdr.pop('alg'); 
        if t['alg_raw'] is not None: hdr['alg']=t['alg_raw']
    pay=json.dumps(cl,separators=(',',':'))
    if 'payload_raw' in t: pay=t['payload_raw']
    for k,v in t.get('payload_text',{}).items(): pay=re.sub(r'"%s":[^,}]*'%k,'"%s":%s'%(k,v),pay)
    if 'payload_dup' in t: pay=pay[:-1]+','+','.join('%s:%s'%(json.dumps(k),json.dumps(v)) for k,v in t['payload_dup'].items())+'}'
    h,p=b64(json.dumps(hdr,separators=(',',':')).encode()),b64(pay.encode()); m=(h+'.'+p).encode()
    s=sign(t,key,alg,m)
    if 'tamper' in t: p=b64(json.dumps({**cl,**t['tamper']}).encode())
    sg=t.get('sig')
    if sg=='empty': s=b''
    elif sg=='garbage': s=b'\x01'*256
    elif sg=='flip': s=bytes([s[0]^1])+s[1:]
    elif sg=='trunc': s=s[:-1]
    elif sg=='zero64': s=b'\0'*64
    elif sg=='der':
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature; s=encode_dss_signature(int.from_bytes(s[:32],'big'),int.from_bytes(s[32:],'big'))
    S=b64(s)
    if sg=='cut': return h+'.'+p
    if t.get('pad'): S,h,p=[x+'='*(-len(x)%4) for x in (S,h,p)]
    if t.get('stdb64'): S=S.replace('-','+').replace('_','/')
    if t.get('space'): S=S[:20]+'%20'+S[20:]
    return h+'.'+p+'.'+S+t.get('suffix','')
def sign(t,key,alg,m):
    from cryptography.hazmat.primitives import hashes,serialization as Z
    from cryptography.hazmat.primitives.asymmetric import padding,ec
    if 'hmac_pub' in t:
        pem=open(f'{mint.D}/{key}.pub.pem','rb').read(); k=t['hmac_pub']; pub=mint.load(key).public_key()
        sec={'pem':pem,'pem-nonl':pem.strip(),'der':pub.public_bytes(Z.Encoding.DER,Z.PublicFormat.SubjectPublicKeyInfo),'n':mint.i2b(pub.public_numbers().n),'empty':b'','jwk':json.dumps(next(x for x in json.load(open(mint.D+'/jwks.json'))['keys'] if x['kid']==key)).encode()}[k]
        return hmac.new(sec,m,hashlib.sha256).digest()
    k=mint.load(key)
    if alg in('RS256','none') : return k.sign(m,padding.PKCS1v15(),hashes.SHA256())
    if alg=='RS512': return k.sign(m,padding.PKCS1v15(),hashes.SHA512())
    if alg=='PS256': return k.sign(m,padding.PSS(padding.MGF1(hashes.SHA256()),32),hashes.SHA256())
    if alg=='ES256':
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature; r,s=decode_dss_signature(k.sign(m,ec.ECDSA(hashes.SHA256()))); return r.to_bytes(32,'big')+s.to_bytes(32,'big')
    if alg=='EdDSA': return k.sign(m)
# ------------------------------------------------------------------ raw upstream
class Up:
    def __init__(s): s.conns=[]
    async def on(s,r,w):
        rec={'raw':bytearray(),'reqs':[]}; s.conns.append(rec)
        buf=b''
        try:
            while True:
                while b'\r\n\r\n' not in buf:
                    d=await r.read(65536)
                    if not d: return
                    rec['raw']+=d; buf+=d
                head,_,buf=buf.partition(b'\r\n\r\n'); lines=head.split(b'\r\n'); hs=[l.partition(b':') for l in lines[1:]]
                H=[(a.decode('latin1'),b.strip(b' \t').decode('latin1')) for a,_,b in hs]; body=b''
                te=[v for k,v in H if k.lower()=='transfer-encoding']; cl=[v for k,v in H if k.lower()=='content-length']; bad=None
                async def need(n):
                    nonlocal buf
                    while len(buf)<n:
                        d=await asyncio.wait_for(r.read(65536),1.0)
                        if not d: raise EOFError
                        rec['raw']+=d; buf+=d
                async def line():
                    nonlocal buf
                    while b'\n' not in buf:
                        d=await asyncio.wait_for(r.read(65536),1.0)
                        if not d: raise EOFError
                        rec['raw']+=d; buf+=d
                    l,_,buf2=buf.partition(b'\n'); buf=buf2; return l
                trailers=[]
                try:
                    if te:
                        while True:
                            l=await line()
                            if not l.endswith(b'\r'): bad='chunk line without CR'
                            l=l.rstrip(b'\r'); sz=l.split(b';')[0]
                            if not re.fullmatch(rb'[0-9A-Fa-f]{1,16}',sz): bad='chunk size %r'%l[:20]; raise EOFError
                            n=int(sz,16)
                            if n==0: break
                            await need(n+2); body+=buf[:n]
                            if buf[n:n+2]!=b'\r\n': bad='chunk not followed by CRLF'
                            buf=buf[n+2:]
                        while True:
                            l=(await line()).rstrip(b'\r')
                            if not l: break
                            a,_,b=l.partition(b':'); trailers.append((a.decode('latin1'),b.strip().decode('latin1')))
                    elif cl and cl[0].isdigit(): await need(int(cl[0])); body=buf[:int(cl[0])]; buf=buf[int(cl[0]):]
                except (EOFError,asyncio.TimeoutError): bad=bad or 'incomplete body'
                rl=lines[0].decode('latin1'); rec['reqs'].append(dict(line=rl,headers=H,trailers=trailers,body=body.decode('latin1'),bad=bad,te=te,cl=cl,raw_head=head.decode('latin1')))
                out=json.dumps({'line':rl}).encode(); isHead=rl.startswith('HEAD ')
                w.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Echo: 1\r\nContent-Length: %d\r\n\r\n'%len(out)+(b'' if isHead else out)); await w.drain()
                if bad: return
        except (ConnectionError,asyncio.IncompleteReadError): pass
        finally:
            try: w.close()
            except Exception: pass
def norm_variants(t):
    t=t.split('?')[0].split('#')[0]; m=re.match(r'^[a-z]+://[^/]*(/.*|$)',t,re.I); t=(m.group(1) or '/') if m else t
    out=set(); cur=t
    for _ in range(3):
        for v in (cur,cur.replace('\\','/'),re.sub(r';[^/]*','',cur),re.sub(r';[^/]*','',cur.replace('\\','/'))):
            v=v.split('\0')[0] if '\0' in v else v; v=re.sub(r'/+','/','/'+v.lstrip('/'))
            segs=[]
            for s in v.split('/'):
                if s=='..': segs and segs.pop()
                elif s not in('','.'): segs.append(s)
            out.add('/'+'/'.join(segs))
        nxt=urllib.parse.unquote(cur,'latin1'); 
        if nxt==cur: break
        cur=nxt
    return out
TOKEN=re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
def invariants(case,reqs,raws):
    e=case['expect']; bad=[]
    for q in reqs:
        hs=[(k.lower(),v) for k,v in q['headers']]; fold=lambda k: re.sub(r'[_.]','-',k)
        if q['te'] and q['cl']: bad.append('I1 TE and CL both forwarded')
        if len(q['te'])>1 or len(q['cl'])>1: bad.append('I1 repeated framing header')
        if q['te'] and q['te'][0].lower()!='chunked': bad.append('I1 TE=%r'%q['te'][0])
        if q['cl'] and not q['cl'][0].isdigit(): bad.append('I1 CL=%r'%q['cl'][0])
        if q['bad'] and q['bad']!='incomplete body': bad.append('I3 '+q['bad'])   # an aborted (incomplete) upstream message is a safe outcome of streaming
        h=q['raw_head']
        if re.search(r'\r(?!\n)|(?<!\r)\n|\0',h): bad.append('I2 bare CR/LF/NUL')
        for l in h.split('\r\n')[1:]:
            n=l.split(':')[0]
            if l[:1] in ' \t': bad.append('I2 obs-fold')
            elif ':' not in l or not TOKEN.match(n): bad.append('I2 field name %r'%n[:20])
        tgt=(q['line'].split(' ')+['',''])[1]
        if e.get('marker') and '/SMUGGLED' in q['line']: bad.append('I4 marker request reached upstream: '+q['line'][:60])
        g=e.get('guard')
        if g:
            hit=[v for v in norm_variants(tgt) if v==g or v.startswith(g+'/')]
            if hit: bad.append('I4 target %r normalises to %s'%(tgt[:50],hit[0]))
        for k in e.get('absent') or []:
            if any(fold(a)==k for a,_ in hs+[(a.lower(),b) for a,b in q['trailers']]): bad.append('I5 header %s forwarded'%k)
        av=e.get('absent_value')
        if av:
            for a,v in q['headers']+q['trailers']:
                if av in v and a.lower() not in (e.get('ok_in') or []): bad.append('I5 spoofed value in %s'%a)
            if av in h.partition('\r\n')[2] and not any(av in v for _,v in q['headers']): bad.append('I5 spoofed value in head')
        if e.get('xff') and [v for k,v in hs if k=='x-forwarded-for']==[e['xff']]: bad.append('I5 X-Forwarded-For taken verbatim')
        if e.get('identity_if_reached') and not any(k==ID_HDR and v for k,v in hs): bad.append('identity header missing upstream')
        if e.get('no_upgrade') and any(k=='upgrade' for k,_ in hs): bad.append('Upgrade forwarded')
        if len([1 for k,_ in hs if k==ID_HDR])>1: bad.append('I5 identity header twice')
    return sorted(set(bad))
async def talk(host,port,data,timeout):
    r,w=await asyncio.wait_for(asyncio.open_connection(host,port),3); out=b''
    try:
        try: w.write(data); await asyncio.wait_for(w.drain(),timeout)
        except (ConnectionError,asyncio.TimeoutError): pass
        end=time.time()+timeout; 
        while time.time()<end:
            d=await asyncio.wait_for(r.read(65536),end-time.time())
            if not d: break
            out+=d
            if complete(out,data): end=min(end,time.time()+0.12)
    except (asyncio.TimeoutError,ConnectionError): pass
    finally:
        w.close()
    return out
def complete(o,data):
    h,s,b=o.partition(b'\r\n\r\n'); m=re.search(rb'(?im)^content-length: *(\d+)',h)
    return bool(s) and (h.startswith(b'HTTP/1.1 1') or data.startswith(b'HEAD') or (m and len(b)>=int(m.group(1))) or b'\r\n0\r\n\r\n' in b)
async def main():
    ap=argparse.ArgumentParser(); ap.add_argument('--target',required=True); ap.add_argument('--name',default=''); ap.add_argument('--upstream-port',type=int,default=19200); ap.add_argument('--only'); ap.add_argument('--json'); ap.add_argument('--timeout',type=float,default=1.2); ap.add_argument('-v',action='store_true'); a=ap.parse_args()
    host,port=a.target.rsplit(':',1); up=Up(); srv=await asyncio.start_server(up.on,'127.0.0.1',a.upstream_port,limit=1<<22)
    trap_hits=[]
    async def trap(r,w): trap_hits.append(1); w.close()
    tsrv=await asyncio.start_server(trap,'127.0.0.1',19299)
    cases=[c for c in all_cases() if not a.only or a.only in c['id'] or a.only==c['cat']]; res=[]
    for c in cases:
        tok=make_token(c['token']); n0=[(k,len(k['reqs']),len(k['raw'])) for k in up.conns]; trap_hits.clear()
        if c['raw'] is not None: data=c['raw'].replace('${token}',tok).encode('latin1')
        else:
            q=c['request']; data=(f"{q['method']} {q['target']} HTTP/1.1\r\n"+''.join(f'{k}: {v}\r\n' for k,v in q['headers'])+'\r\n'+q['body']).replace('${token}',tok).encode('latin1')
        try: out=await talk(host,int(port),data,a.timeout)
        except (OSError,asyncio.TimeoutError) as x: out=b'CONNECT-ERR '+str(x).encode()
        await asyncio.sleep(0.02)
        seen={id(k):(n,rw) for k,n,rw in n0}; reqs=[]; raws=[]
        for k in up.conns: n,rw=seen.get(id(k),(0,0)); reqs+=k['reqs'][n:]; raws.append(bytes(k['raw'][rw:]))
        sts=[int(x) for x in re.findall(rb'HTTP/1\.[01] (\d{3})',out)]; st=next((s for s in sts if s>=200 or s==101),0); e=c['expect']; why=invariants(c,reqs,raws)
        rawhit=any(raws); v=e['verdict']
        if out.startswith(b'CONNECT-ERR'): why.append('proxy down: '+out.decode())
        if v=='allow':
            if not 200<=st<300: why.append(f'expected allow, got {st}')
            if len(reqs)!=1: why.append(f'{len(reqs)} upstream requests')
            if e.get('identity') and (not reqs or [x for k,x in reqs[0]['headers'] if k.lower()==ID_HDR]!=[e['identity']]): why.append('identity header wrong upstream')
        elif v=='deny':
            if reqs or rawhit: why.append('reached upstream: '+(reqs[0]['line'][:70] if reqs else 'partial bytes'))
            if 200<=st<400 or st==101: why.append(f'status {st}')
            if e.get('status') and st not in e['status']: why.append(f"status {st} not in {e['status']}")
            if e.get('www') and b'www-authenticate:' not in out.lower(): why.append('no WWW-Authenticate')
        if st>=500 and st not in (501,505): why.append(f'server error {st}') if c['level']!='info' else None
        if e.get('no_connect') and trap_hits: why.append('proxy fetched attacker URL')
        if st==101 and e.get('no_upgrade') is not None: why.append('101 tunnel')
        ok=not why; lvl='should' if why and all(x.startswith('server error') for x in why) and c['level']=='must' else c['level']
        res.append(dict(id=c['id'],cat=c['cat'],level=lvl,ok=ok,status=st,n_up=len(reqs),why=why))
        if a.v or (not ok): print(f"{'ok  ' if ok else 'FAIL'} {lvl:6} {c['id']:24} status={st} up={len(reqs)} {'; '.join(why)}",flush=True)
    srv.close(); tsrv.close()
    fm=[r for r in res if not r['ok'] and r['level']=='must']; print(f"== {a.name or a.target}: {sum(r['ok'] for r in res)}/{len(res)} ok; failed must={len(fm)} should={sum(1 for r in res if not r['ok'] and r['level']=='should')} info={sum(1 for r in res if not r['ok'] and r['level']=='info')}; failed by category {dict(Counter(r['cat'] for r in res if not r['ok']))}")
    if a.json: json.dump(res,open(a.json,'w'),indent=1)
    os._exit(min(len(fm),100))
asyncio.run(main())
