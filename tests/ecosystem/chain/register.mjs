// How a JavaScript AVS registers: viem for the chain, fetch for the key service. Prints the operator id.
import { createTestClient, createPublicClient, createWalletClient, http, parseAbi, parseEther } from 'viem'
import { foundry } from 'viem/chains'

const { KMS_URL, KMS_TOKEN, RPC_URL, OPERATOR, COORDINATOR, REGISTRY } = process.env

const abi = parseAbi([
  'struct G1Point { uint256 X; uint256 Y; }',
  'struct G2Point { uint256[2] X; uint256[2] Y; }',
  'struct Params { G1Point pubkeyRegistrationSignature; G1Point pubkeyG1; G2Point pubkeyG2; }',
  'function pubkeyRegistrationMessageHash(address operator) view returns (G1Point)',
  'function registerBLSPublicKey(address operator, Params params, G1Point hash) returns (bytes32)',
  'function getOperatorId(address operator) view returns (bytes32)',
])

async function kms(path, body) {
  const response = await fetch(KMS_URL + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${KMS_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const answer = await response.json()
  if (answer.error) throw new Error(`${answer.code}: ${answer.error}`)
  return answer
}

const transport = http(RPC_URL)
const chain = createPublicClient({ chain: foundry, transport })
const wallet = createWalletClient({ chain: foundry, transport, account: COORDINATOR })
const anvil = createTestClient({ chain: foundry, mode: 'anvil', transport })

await kms('/v1/keys', { eoa: OPERATOR })
const hash = await chain.readContract({
  address: COORDINATOR, abi, functionName: 'pubkeyRegistrationMessageHash', args: [OPERATOR],
})
const hex = (number) => '0x' + number.toString(16).padStart(64, '0')
const signed = await kms('/v1/scalar_mul', { eoa: OPERATOR, hash: { x: hex(hash.X), y: hex(hash.Y) } })

// Hex text is a number to viem's BigInt; the lists of the answer are in the order of Solidity's.
const g1 = ({ x, y }) => ({ X: BigInt(x), Y: BigInt(y) })
const g2 = ({ x, y }) => ({ X: x.map(BigInt), Y: y.map(BigInt) })
const params = { pubkeyRegistrationSignature: g1(signed.signature), pubkeyG1: g1(signed.g1), pubkeyG2: g2(signed.g2) }

// A registry takes registrations from its coordinator alone.
await anvil.impersonateAccount({ address: COORDINATOR })
await anvil.setBalance({ address: COORDINATOR, value: parseEther('1') })
const transaction = await wallet.writeContract({
  address: REGISTRY, abi, functionName: 'registerBLSPublicKey', args: [OPERATOR, params, hash],
})
const receipt = await chain.waitForTransactionReceipt({ hash: transaction })
if (receipt.status !== 'success') throw new Error('the registry refused')
console.log(await chain.readContract({ address: REGISTRY, abi, functionName: 'getOperatorId', args: [OPERATOR] }))
